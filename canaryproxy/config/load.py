"""Loads a config from a file, a text or the flags of the command line. Each function returns a `Config` or raises
`ConfigError` with all problems.

The only I/O here is one bounded read of the file; the environment is an argument.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from canaryproxy.config.conflicts import find_conflicts, find_unused_weights
from canaryproxy.config.diagnose import Diagnosis
from canaryproxy.config.problems import ConfigError, ConfigProblem, Loc
from canaryproxy.config.schema.root import Config, SchemaError, SchemaFault, validate
from canaryproxy.config.short_form import full_form
from canaryproxy.config.types.files import read_bounded
from canaryproxy.config.types.readers import is_off
from canaryproxy.config.yaml.document import MAX_BYTES, Document, SourceValue, YamlTree, read_document
from canaryproxy.config.yaml.nodes import UnreadableYamlError
from canaryproxy.config.yaml.scalars import typed_scalar

_FLAGS: Mapping[Loc, str] = {
    ("stable",): "--stable",
    ("canary",): "--canary",
    ("weight",): "--weight",
    ("server", "listen"): "--listen",
    ("server", "admin"): "--admin-listen",
    ("server", "admin", "listen"): "--admin-listen",
    ("server", "state"): "--state",
    ("server", "workers"): "--workers",
}


def load(path: Path, environ: Mapping[str, str]) -> Config:
    """Read a config file; `environ` has the variables for `${NAME}`. Raises `ConfigError`."""
    return parse(_read(path), str(path), environ)


def parse(text: str, name: str, environ: Mapping[str, str]) -> Config:
    """Read the text of a config; `name` is the name of the file in problems. Raises `ConfigError`."""
    try:
        document = read_document(text, environ)
    except UnreadableYamlError as error:
        line, column = error.position
        problem = ConfigProblem(name, line, column, "", error.wrong.found or "", error.wrong.hint)
        raise ConfigError((problem,)) from None
    return _config(document, name)


@dataclass(frozen=True, slots=True)
class ServerFlags:
    """Command-line flags for the section `server`; `admin_listen` may be `off`."""

    admin_listen: str | None = None
    state: str | None = None
    workers: str | None = None


NO_FLAGS = ServerFlags()


def from_flags(
    stable: str,
    canary: str | None = None,
    weight: str | None = None,
    listen: str | None = None,
    server: ServerFlags = NO_FLAGS,
) -> Config:
    """A config in the short form from command-line flags. Problems name the flag. Raises `ConfigError`."""
    route = {"stable": stable, "canary": canary, "weight": weight}
    process = {"listen": listen, "state": server.state, "workers": server.workers, "admin": server.admin_listen}
    tree, section = _given(route), _given(process)
    source_values: dict[Loc, SourceValue] = {(): SourceValue(None)}
    source_values |= {(key,): SourceValue(None, text) for key, text in route.items() if key in tree}
    source_values |= {("server", key): SourceValue(None, text) for key, text in process.items() if key in section}
    if server.admin_listen is not None and not is_off(server.admin_listen):
        section["admin"] = {"listen": server.admin_listen}
        source_values["server", "admin", "listen"] = SourceValue(None, server.admin_listen)
    if section:
        tree["server"] = section
    return _config(Document(tree, source_values), "", _FLAGS)


def _given(flags: Mapping[str, str | None]) -> dict[str, YamlTree]:
    numbers = ("weight", "workers")
    return {key: typed_scalar(text) if key in numbers else text for key, text in flags.items() if text is not None}


def _config(document: Document, file: str, names: Mapping[Loc, str] | None = None) -> Config:
    shaped = full_form(document.tree)
    faults: list[SchemaFault] = [
        *shaped.faults,
        *find_conflicts(shaped.tree, document.source_values),
        *find_unused_weights(shaped.tree),
    ]
    config: Config | None = None
    if shaped.tree is not None:
        try:
            config = validate(shaped.tree)
        except SchemaError as rejected:
            faults += rejected.faults
    if config is not None and not faults and not document.faults:
        return config
    explainer = Diagnosis(file, document, short=shaped.short, names=names or {})
    raise ConfigError(explainer.problems(faults))


def _read(path: Path) -> str:
    try:
        data = read_bounded(path, MAX_BYTES + 1)
    except FileNotFoundError:
        found, hint = "no such file", "check the path, or run without a file: --stable URL --canary URL"
    except IsADirectoryError:
        found, hint = "a directory", "give the path of a file"
    except PermissionError:
        found, hint = "a file without read permission", "give this user permission to read it"
    except (OSError, ValueError) as error:
        found, hint = f"a file that cannot be read ({getattr(error, 'strerror', None) or error})", "check the path"
    else:
        return _decoded(data, str(path))
    raise ConfigError((ConfigProblem(str(path), None, None, "", found, hint),))


def _decoded(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start >= MAX_BYTES - 4:
            # The read was cut off inside a character. Spaces keep the text above the limit, which is then reported.
            return data[: error.start].decode("utf-8") + " " * 8
        line = data.count(b"\n", 0, error.start) + 1
        column = len(data[data.rfind(b"\n", 0, error.start) + 1 : error.start].decode("utf-8")) + 1
    raise ConfigError((ConfigProblem(name, line, column, "", "a byte that is not UTF-8", "save the file as UTF-8"),))
