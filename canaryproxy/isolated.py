"""Whose code runs: ours, the standard library's and that of the packages we depend on, never what happens to lie about.

Python looks for modules in the working directory (`-m`), in PYTHONPATH and in the user's own site-packages, and runs a
`sitecustomize` or a `.pth` file that it finds there. A child process does none of that: it is started with `-I -S`,
loads the very package that the parent runs (installed, editable, or a source tree), and finds the few packages that the
data plane depends on where the parent found them, behind the standard library. Run as a script, this file is how it
begins:

    python -I -S canaryproxy/isolated.py MODULE DIRECTORY... -- ARGUMENT...

The program itself is started by Python, which has settled by then which `canaryproxy` it runs; from then on what
PYTHONPATH and `-m` put in front of the standard library is not searched any more, or last where our dependencies lie
there (`settle`). This file is imported before that, so it imports nothing that could be a stranger's.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping

PACKAGE = os.path.dirname(os.path.abspath(__file__))
NAME = "canaryproxy"

NEEDED = ("msgspec", "re2", "setproctitle", "uvloop")
"""What the data plane imports beside the standard library."""

PROGRAMS = ("canaryproxy", "-m")
"""What the first argument is called where our own command is run, by its name or by `python -m canaryproxy`."""


def command(module: str, *arguments: str) -> list[str]:
    """How a child is started that runs `main(arguments)` of `module`."""
    return [sys.executable, *options(), __file__, module, *directories(), "--", *arguments]


def options() -> Iterator[str]:
    """Options of the interpreter: isolated, and otherwise as ours was started."""
    yield from ("-I", "-S")
    if sys.dont_write_bytecode:
        yield "-B"
    if sys.flags.optimize:
        yield "-" + "O" * sys.flags.optimize
    if sys.flags.dev_mode:
        yield from ("-X", "dev")
    if sys.flags.utf8_mode:
        yield from ("-X", "utf8")
    if sys.pycache_prefix:
        yield from ("-X", f"pycache_prefix={sys.pycache_prefix}")
    for option in sys.warnoptions:
        yield from ("-W", option)


def directories() -> list[str]:
    """Where we find what the data plane needs."""
    from importlib.util import find_spec

    found: list[str] = []
    for name in NEEDED:
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            place = os.path.dirname(os.path.abspath(spec.origin))
            found.append(os.path.dirname(place) if spec.submodule_search_locations else place)
    return list(dict.fromkeys(found))


def complete(path: list[str]) -> bool:
    """Whether our dependencies are found there."""
    from importlib.machinery import PathFinder

    return all(PathFinder.find_spec(name, path) is not None for name in NEEDED)


def settle(
    path: list[str], program: str, environ: Mapping[str, str], *, safe: bool = False, deaf: bool = False,
    complete: Callable[[list[str]], bool] = complete,
) -> list[str]:  # fmt: skip
    """The search path of our own command, without what `-m` and PYTHONPATH put in front; behind everything else where
    the rest is not `complete`. `safe`: `-m` has put nothing there; `deaf`: PYTHONPATH is ignored. Any other program's
    path is its own business.
    """
    if os.path.basename(program) not in PROGRAMS:
        return path
    here = path[0] if program == "-m" and path and not safe else None
    named = "" if deaf else environ.get("PYTHONPATH", "")
    last = {os.path.abspath(one) for one in named.split(os.pathsep)} if named else set()
    rest = path if here is None else path[1:]
    strange = [one for one in rest if one in last]
    if here == os.path.dirname(PACKAGE):
        strange.append(here)
    settled = [one for one in rest if one not in last]
    return settled if not strange or complete(settled) else settled + strange


def begin(module: str, places: list[str], arguments: list[str]) -> None:
    """Become the child: load this package from where this file lies, and run the module."""
    from importlib import import_module
    from importlib.util import module_from_spec, spec_from_file_location

    sys.path += [place for place in places if place not in sys.path]
    spec = spec_from_file_location(NAME, os.path.join(PACKAGE, "__init__.py"), submodule_search_locations=[PACKAGE])
    if spec is None or spec.loader is None:
        raise ImportError(f"there is no package in {PACKAGE}")
    package = sys.modules[NAME] = module_from_spec(spec)
    spec.loader.exec_module(package)
    import_module(module).main(arguments)


def main(words: list[str]) -> None:
    """The words of the command line: a module, directories, `--`, and what is for the module."""
    module, *rest = words
    end = rest.index("--")
    begin(module, rest[:end], rest[end + 1 :])


if __name__ == "__main__":
    main(sys.argv[1:])
