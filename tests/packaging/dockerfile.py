"""A Dockerfile, followed step by step without an engine.

Every stage is an overlay above this machine's own root, which stands in for the base image (both are Debian 12 with
Python 3.11): what a step writes is in the overlay alone. RUN runs in a chroot there, COPY copies from the files that
.dockerignore lets through, or from another stage. All of it lives in a mount namespace of its own, and goes with it.
"""

import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dockerfile_parse import DockerfileParser

from tests.support.process import ROOT

PATH = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SOURCES = (
    "pyproject.toml",
    "setup.py",
    "README.md",
    "LICENSE",
    "requirements/build.txt",
    "requirements/runtime.txt",
    "canaryproxy",
    "config/container.yaml",
)
"""What .dockerignore lets through."""


class Stage:
    """One stage: its root as its steps have left it, and what they said of the process to start."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.environ = {"PATH": PATH, **{key: value for key, value in os.environ.items() if key.startswith("PIP_")}}
        self.given: dict[str, str] = {}
        self.workdir = "/"
        self.user = ""
        self.volumes: list[str] = []
        self.ports: list[int] = []
        self.command: list[str] = []
        self.arguments: list[str] = []
        self.health: list[str] = []


class Build:
    """The stages of the repository's Dockerfile, the last one being the image."""

    def __init__(self, holder: int, work: str) -> None:
        self._holder = holder
        self._work = work
        self._stages: list[Stage] = []
        self._names: dict[str, Stage] = {}

    @property
    def image(self) -> Stage:
        """What is shipped."""
        return self._stages[-1]

    def inside(self, *command: str, timeout: float = 120) -> str:
        """Run a command in the namespace; what it printed. Raises `AssertionError` where it fails."""
        done = subprocess.run(
            self.enter(*command), capture_output=True, text=True, timeout=timeout, check=False
        )  # fmt: skip
        assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def enter(self, *command: str) -> list[str]:
        """The command line that runs something in the namespace."""
        return ["nsenter", "--target", str(self._holder), "--mount", "--net", *command]

    def follow(self) -> None:
        """Take every step."""
        with tempfile.TemporaryDirectory() as folder:
            parser = DockerfileParser(path=folder)
            parser.content = (ROOT / "Dockerfile").read_text()
            for step in parser.structure:
                getattr(self, f"_{step['instruction'].lower()}")(step["value"])

    def _comment(self, _: str) -> None:
        pass

    def _arg(self, value: str) -> None:
        """The base image, for which this machine stands in; in a stage what its steps see."""
        if self._stages:
            name, _, default = value.partition("=")
            self.image.given[name] = default

    def _from(self, value: str) -> None:
        number = len(self._stages)
        folders = [f"{self._work}/{number}/{name}" for name in ("upper", "work", "root")]
        self.inside("mkdir", "-p", *folders)
        options = f"lowerdir=/,upperdir={folders[0]},workdir={folders[1]}"
        self.inside("mount", "-t", "overlay", "overlay", "-o", options, folders[2])
        self.inside("mount", "--bind", "/dev", f"{folders[2]}/dev")
        stage = Stage(folders[2])
        self._stages.append(stage)
        _, as_name, name = value.partition(" AS ")
        if as_name:
            self._names[name] = stage

    def _run(self, value: str) -> None:
        stage = self.image
        environ = [f"{key}={value}" for key, value in (stage.environ | stage.given).items()]
        steps = f"cd {shlex.quote(stage.workdir)} && {value}"
        self.inside("chroot", stage.root, "env", "-i", *environ, "sh", "-c", steps, timeout=500)

    def _copy(self, value: str) -> None:
        *sources, target = value.split()
        stage = self.image
        origin = str(ROOT)
        if sources[0].startswith("--from="):
            origin = self._names[sources.pop(0).removeprefix("--from=")].root
        else:
            assert all(source in SOURCES for source in sources), f"{sources} is kept out by .dockerignore"
        whole = target if target.startswith("/") else f"{stage.workdir}/{target}"
        for source in sources:
            place = f"{stage.root}{whole}"
            self.inside("mkdir", "-p", place if place.endswith("/") else str(Path(place).parent))
            self.inside(
                "cp", "-aT" if not place.endswith(("/", "/.")) else "-a", f"{origin}/{source.lstrip('/')}", place
            )

    def _env(self, value: str) -> None:
        for pair in shlex.split(value):
            key, _, text = pair.partition("=")
            self.image.environ[key] = text.replace("$PATH", self.image.environ["PATH"])

    def _workdir(self, value: str) -> None:
        self.image.workdir = value
        self.inside("mkdir", "-p", f"{self.image.root}{value}")

    def _user(self, value: str) -> None:
        self.image.user = value

    def _volume(self, value: str) -> None:
        self.image.volumes.append(value)

    def _expose(self, value: str) -> None:
        self.image.ports = [int(port) for port in value.split()]

    def _stopsignal(self, value: str) -> None:
        assert value == "SIGTERM"

    def _healthcheck(self, value: str) -> None:
        self.image.health = json.loads(value.partition("CMD ")[2])

    def _entrypoint(self, value: str) -> None:
        self.image.command = json.loads(value)

    def _cmd(self, value: str) -> None:
        self.image.arguments = json.loads(value)

    def started(self, *arguments: str, environ: dict[str, str]) -> list[str]:
        """The command line that starts a container: processes of its own, its user, a root that cannot be written to."""
        stage = self.image
        root = stage.root
        whole = {**stage.environ, **environ}
        given = [f"{key}={value}" for key, value in whole.items() if not key.startswith("PIP_")]
        command = shlex.join(["env", "-i", *given, *(arguments or (*stage.command, *stage.arguments))])
        volumes = " && ".join(
            f"mkdir -p {self._work}/volume && chown {stage.user} {self._work}/volume && mount --bind {self._work}/volume {root}{volume}"
            for volume in stage.volumes
        )
        steps = (
            f"mount --bind {root} {root} && mount -o remount,bind,ro {root} && mount -t proc proc {root}/proc && {volumes} && "
            f"exec chroot --userspec={stage.user} --groups= {root} "
            f'setpriv --no-new-privs sh -c \'cd {stage.workdir} && exec "$0" "$@"\' {command}'
        )
        return self.enter("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", steps)


@contextmanager
def building() -> Iterator[Build]:
    """A namespace with a network of its own, its loopback up, and memory to build in."""
    work = tempfile.mkdtemp(prefix="dockerfile-")
    holder = subprocess.Popen(["unshare", "--mount", "--net", "sleep", "600"])
    try:
        build = Build(holder.pid, work)
        _entered(holder.pid)
        build.inside("mount", "-t", "tmpfs", "tmpfs", work)
        yield build
    finally:
        holder.kill()
        holder.wait()
        Path(work).rmdir()


def _entered(pid: int) -> None:
    """Wait until the process has its own namespaces."""
    mine = str(Path("/proc/self/ns/net").readlink())
    while str(Path(f"/proc/{pid}/ns/net").readlink()) == mine:
        os.sched_yield()
