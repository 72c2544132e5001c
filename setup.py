"""Compiles the hot modules (`HOT` in canaryproxy/mode.py) with Cython; all else is said in pyproject.toml.

Whatever stands in the way of a compiler leaves plain Python, which works as well and is slower; one line says what is
missing. CANARYPROXY_PLAIN=1 compiles nothing, CANARYPROXY_PLAIN=0 fails where nothing can be compiled. C is generated
in build/cython. What is compiled again is decided by what the sources say, not by their times.
"""

import os
import runpy
import subprocess
import sys
from hashlib import blake2b
from pathlib import Path
from types import SimpleNamespace

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.errors import CCompilerError, PlatformError

try:
    import Cython
    from Cython.Build import cythonize
    from Cython.Compiler.Errors import CompileError
except ImportError:
    cythonize, CompileError = None, CCompilerError

PACKAGE = Path("canaryproxy")
mode = SimpleNamespace(**runpy.run_path(str(PACKAGE / "mode.py")))

GENERATED = Path("build/cython")
DIRECTIVES = {
    "language_level": 3,
    # What an annotation says never changes what the code does: types come from the .pxd, checks of bounds stay.
    "annotation_typing": False,
}
FLAGS = [] if "CFLAGS" in os.environ else ["-O2", "-g0"]
CPUS = len(os.sched_getaffinity(0))


def extension(name: str) -> Extension:
    """The extension of one hot module."""
    made_of = [path for path in mode.sources(PACKAGE) if path.with_suffix("") == mode.place(name, "", PACKAGE)]
    return Extension(name, [str(next(path for path in made_of if path.suffix != ".pxd"))], extra_compile_args=FLAGS)


class Compile(build_ext):
    """All hot modules or none, and a record of what they were made of."""

    def finalize_options(self) -> None:
        """Modules are compiled side by side."""
        super().finalize_options()
        self.parallel = self.parallel or CPUS
        self.digest = ""

    def build_extensions(self) -> None:
        """Compile what has changed, or say why nothing is."""
        self.digest = mode.digest(PACKAGE)
        why = self._lacking()
        if not why:
            try:
                self._compile()
            except (CompileError, CCompilerError) as error:
                why = f"it failed, see above ({error})"
        if why:
            if os.environ.get(mode.SWITCH) == "0":
                raise PlatformError(f"canaryproxy cannot be compiled: {why}")
            print(f"canaryproxy stays plain Python, which is slower: {why}", file=sys.stderr)
            self.extensions.clear()
        self._settle(Path(self.build_lib, PACKAGE))

    def copy_extensions_to_source(self) -> None:
        """The end of a build in place."""
        super().copy_extensions_to_source()
        self._settle(PACKAGE)

    def build_extension(self, ext: Extension) -> None:
        """Compile one, and remember what it was made of."""
        key = self._key(ext)
        if not self._fresh(ext, key):
            Path(self.get_ext_fullpath(ext.name)).unlink(missing_ok=True)
            super().build_extension(ext)
            self._kept(ext).write_text(key)

    def _lacking(self) -> str:
        """What keeps us from compiling; empty where nothing does."""
        if cythonize is None:
            return "Cython is missing (pip install 'Cython>=3.2.9,<3.3')"
        command = [*self.compiler.compiler_so, *(f"-I{path}" for path in self.compiler.include_dirs)]
        try:
            tried = subprocess.run(
                [*command, "-fsyntax-only", "-x", "c", "-"],
                input="#include <Python.h>\n", capture_output=True, text=True, check=False,
            )  # fmt: skip
        except OSError:
            return f"there is no C compiler ({command[0]}); on Debian and Ubuntu: apt-get install gcc python3-dev"
        if tried.returncode == 0:
            return ""
        if "Python.h" in tried.stderr:
            return "Python.h is missing; on Debian and Ubuntu: apt-get install python3-dev"
        said = (tried.stderr.strip().splitlines() or ["it says nothing"])[0]
        return f"{command[0]} does not work: {said}; on Debian and Ubuntu: apt-get install gcc libc6-dev python3-dev"

    def _compile(self) -> None:
        stale = [ext for ext in self.extensions if not self._fresh(ext, self._key(ext))]
        for ext in stale:
            ext.key = self._key(ext)
        made = cythonize(
            stale, build_dir=str(GENERATED), force=True, quiet=True,
            nthreads=min(CPUS, len(stale)) if len(stale) > 1 else 0, compiler_directives=DIRECTIVES,
        )  # fmt: skip
        for ext, one in zip(stale, made, strict=True):
            ext.sources = one.sources
        super().build_extensions()

    def _key(self, ext: Extension) -> str:
        """What one module is made of: its source, all types, and how it is compiled."""
        if hasattr(ext, "key"):
            return ext.key
        parts = [
            Path(ext.sources[0]),
            *(path for path in mode.sources(PACKAGE) if path.suffix == ".pxd"),
            Path(__file__),
        ]
        found = blake2b(f"{Cython.__version__} {self.compiler.compiler_so} {os.environ.get('CFLAGS')}".encode())
        for path in parts:
            found.update(f"{path}\n".encode() + path.read_bytes())
        return found.hexdigest()

    def _kept(self, ext: Extension) -> Path:
        """Where it stands what a built extension was made of."""
        return Path(self.build_temp, f"{ext.name}.key")

    def _fresh(self, ext: Extension, key: str) -> bool:
        kept = self._kept(ext)
        return Path(self.get_ext_fullpath(ext.name)).exists() and kept.exists() and kept.read_text() == key

    def _settle(self, package: Path) -> None:
        """Leave the extensions that were built, none of an earlier build, and the record."""
        built = {mode.place(ext.name, mode.SUFFIX, package) for ext in self.extensions}
        for path in package.rglob(f"*{mode.SUFFIX}"):
            if path not in built:
                path.unlink()
        record = package / mode.RECORD
        if built:
            record.write_text(f"{self.digest}\n")
        else:
            record.unlink(missing_ok=True)


class Wheel(bdist_wheel):
    """A wheel without extensions is for every machine."""

    def run(self) -> None:
        """Whether there are any is known when they are built."""
        self.run_command("build_ext")
        if not self.get_finalized_command("build_ext").extensions:
            self.root_is_pure = True
        super().run()


if __name__ == "__main__":
    plain = os.environ.get(mode.SWITCH) == "1"
    setup(
        ext_modules=[] if plain else [extension(name) for name in mode.HOT],
        cmdclass={"build_ext": Compile, "bdist_wheel": Wheel},
    )
