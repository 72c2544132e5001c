"""Restricts imports to our code, the standard library and our dependencies.

Python searches modules in the working directory (`-m`), in PYTHONPATH and in the user's site-packages, and runs a
`sitecustomize` or `.pth` file that it finds there. Child processes do not: they are started with `-I -S`, load the same
package as the parent (installed, editable, or a source tree), and find the dependencies of the data plane where the
parent found them, after the standard library. This file is their script:

    python -I -S canaryproxy/isolated.py MODULE DIRECTORY... -- ARGUMENT...

In the main process, Python has already chosen the `canaryproxy` package. From then on, directories that PYTHONPATH and
`-m` put before the standard library are no longer searched, or searched last if our dependencies are there (`settle`).
This file is imported before that, so it imports only modules that are loaded already.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping

PACKAGE = os.path.dirname(os.path.abspath(__file__))
NAME = "canaryproxy"

# Dependencies of the data plane.
NEEDED = ("msgspec", "re2", "setproctitle", "uvloop")

# Names of our own command in `sys.argv[0]`: the script, or `python -m canaryproxy`.
PROGRAMS = ("canaryproxy", "-m")


def command(module: str, *arguments: str) -> list[str]:
    """The command line of a child that runs `main(arguments)` of `module`."""
    return [sys.executable, *options(), __file__, module, *directories(), "--", *arguments]


def options() -> Iterator[str]:
    """Options of the interpreter: isolated, and otherwise those of this process."""
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
    """The directories of the data plane's dependencies."""
    from importlib.util import find_spec

    found: list[str] = []
    for name in NEEDED:
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            place = os.path.dirname(os.path.abspath(spec.origin))
            found.append(os.path.dirname(place) if spec.submodule_search_locations else place)
    return list(dict.fromkeys(found))


def complete(path: list[str]) -> bool:
    """Whether the search path has all dependencies."""
    from importlib.machinery import PathFinder

    return all(PathFinder.find_spec(name, path) is not None for name in NEEDED)


def settle(
    path: list[str], program: str, environ: Mapping[str, str], *, safe: bool = False, deaf: bool = False,
    complete: Callable[[list[str]], bool] = complete,
) -> list[str]:  # fmt: skip
    """The search path of our own command without the directories of `-m` and PYTHONPATH; those come last if the rest is
    not `complete`. `safe`: `-m` has added no directory; `deaf`: PYTHONPATH is ignored. The path of other programs is
    returned unchanged.
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
    """Run a module in the child, with the package that contains this file."""
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
    """Run the command line: a module, directories, `--`, and the module's arguments."""
    module, *rest = words
    end = rest.index("--")
    begin(module, rest[:end], rest[end + 1 :])


if __name__ == "__main__":
    main(sys.argv[1:])
