"""Real processes among strangers' files, and workers that run other code than their supervisor."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.ports import free_port
from canaryproxy.isolated import PACKAGE
from tests.e2e.test_process import PATIENCE, ask, origins, processes_below, two_urls, until
from tests.support.process import QUIET

__all__ = ["origins"]

STRAY = "import os; open({mark!r}, 'a').write(__file__ + '\\n')\n"
MODULES = ("queue.py", "http.py", "uvloop.py", "yaml.py", "brotli.py", "usercustomize.py", "startup.py")
PLAIN = {"CANARYPROXY_PLAIN": "1"}
"""For a copy of the sources, of which nothing is compiled."""

PACKAGES = ("asyncio", "canaryproxy", "concurrent")


@pytest.fixture
def strangers(tmp_path: Path) -> Path:
    """A directory of files that must not be run: each that is run says so in `ran`."""
    folder = tmp_path / "strangers"
    text = STRAY.format(mark=str(tmp_path / "ran"))
    site = folder / f"user/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    site.mkdir(parents=True)
    for place in (folder, site):
        for name in MODULES:
            (place / name).write_text(text)
        for name in PACKAGES:
            (place / name).mkdir()
            (place / name / "__init__.py").write_text(text)
    (folder / "sitecustomize.py").write_text(text)
    (site / "stray.pth").write_text(f"import os; open({str(tmp_path / 'ran')!r}, 'a').write('stray.pth')\n")
    return folder


def ran(folder: Path) -> list[str]:
    mark = folder / "ran"
    return mark.read_text().splitlines() if mark.exists() else []


def script(folder: Path) -> list[str]:
    """The console script, as pip writes it: Python puts its directory in front, never the working directory."""
    made = folder / "bin" / "canaryproxy"
    made.parent.mkdir(exist_ok=True)
    root = str(Path(PACKAGE).parent)
    made.write_text(f"import sys\nsys.path.append({root!r})\nfrom canaryproxy.cli import main\nsys.exit(main())\n")
    return [sys.executable, str(made)]


@contextlib.contextmanager
def started(
    folder: Path, command: list[str], cwd: Path, arguments: list[str], **environ: str
) -> Iterator[tuple["subprocess.Popen[str]", Path]]:
    """A proxy that was started there, and its log."""
    log = folder / "proxy.log"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [*command, "run", *QUIET, *arguments],
            cwd=cwd,
            env={**kept, **environ},
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    assert process.stdout is not None
    try:
        yield process, log
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)
        process.stdout.close()


def serves(process: "subprocess.Popen[str]", port: int, log: Path) -> None:
    assert process.stdout is not None
    assert process.stdout.readline(), log.read_text()
    assert {ask(port) for _ in range(40)} == {"stable", "canary"}


Start = Callable[[Path], list[str]]


@pytest.mark.parametrize(
    "start", [script, lambda _: [sys.executable, "-P", "-m", "canaryproxy"]], ids=["script", "-P -m"]
)
def test_nothing_that_lies_in_the_working_directory_is_run(
    start: Start, strangers: Path, origins: dict[str, int], tmp_path: Path
) -> None:
    command, port = start(tmp_path), free_port()
    if "-P" in command and not installed():
        pytest.skip("the package is not installed in this environment")
    arguments = [*two_urls(origins), "--weight", "50", "--workers", "2", "--listen", f"127.0.0.1:{port}"]
    with started(tmp_path, command, strangers, arguments, PYTHONSTARTUP="startup.py") as (process, log):
        serves(process, port, log)
    assert ran(tmp_path) == []


def installed() -> bool:
    """Whether this interpreter finds the package by itself."""
    return not subprocess.run(
        [sys.executable, "-I", "-c", "import canaryproxy"], capture_output=True, check=False
    ).returncode


def test_by_its_module_only_the_package_itself_comes_from_the_working_directory(
    strangers: Path, origins: dict[str, int], tmp_path: Path
) -> None:
    """`python -m canaryproxy` runs the package that lies there, as Python does, and nothing else of what does."""
    tree = source_tree(strangers)
    port = free_port()
    arguments = [*two_urls(origins), "--weight", "50", "--workers", "1", "--listen", f"127.0.0.1:{port}"]
    with started(tmp_path, [sys.executable, "-m", "canaryproxy"], tree, arguments, **PLAIN) as (process, log):
        serves(process, port, log)
        maps = [Path(f"/proc/{pid}/cwd").readlink() for pid in processes_below(process.pid)]
        assert set(maps) == {tree}
    assert ran(tmp_path) == []


def test_what_pythonpath_names_reaches_no_child_and_shadows_nothing(
    strangers: Path, origins: dict[str, int], tmp_path: Path
) -> None:
    """Python itself runs `sitecustomize` and what it finds in the user's site-packages, once, before we are there."""
    shutil.rmtree(strangers / "canaryproxy")
    user = strangers / "user"
    shutil.rmtree(next(user.glob("lib/*/site-packages")) / "canaryproxy")
    port = free_port()
    arguments = [*two_urls(origins), "--weight", "50", "--workers", "2", "--listen", f"127.0.0.1:{port}"]
    environ = {"PYTHONPATH": f"{strangers}:", "PYTHONSTARTUP": "startup.py", "PYTHONUSERBASE": str(user)}
    with started(tmp_path, script(tmp_path), strangers, arguments, **environ) as (process, log):
        serves(process, port, log)
        before = ran(tmp_path)
        for pid, title in processes_below(process.pid).items():
            if title.endswith("fork server"):
                os.kill(pid, signal.SIGKILL)
        until(lambda: "restarting it" in log.read_text())
    assert ran(tmp_path) == before
    assert {Path(one).name for one in before} <= {"sitecustomize.py", "usercustomize.py", "stray.pth"}
    assert len(before) == len(set(before))


# Another code than the supervisor's.


def source_tree(folder: Path) -> Path:
    """A copy of the sources, which runs plain."""
    shutil.rmtree(folder / "canaryproxy", ignore_errors=True)
    ignored = shutil.ignore_patterns("__pycache__", "*.so", "*.digest")
    shutil.copytree(PACKAGE, folder / "canaryproxy", ignore=ignored)
    return folder


def upgrade(tree: Path) -> None:
    """As if another version was installed over this one."""
    path = tree / "canaryproxy" / "__init__.py"
    path.write_text(re.sub(r'__version__ = ".*"', '__version__ = "9.9.9"', path.read_text()))


def test_a_worker_of_another_version_at_the_start_is_an_error(tmp_path: Path, origins: dict[str, int]) -> None:
    tree = source_tree(tmp_path / "tree")
    server = tree / "canaryproxy" / "app/forkserver.py"
    server.write_text(f'import canaryproxy\ncanaryproxy.__version__ = "9.9.9"\n{server.read_text()}')
    arguments = [*two_urls(origins), "--workers", "2", "--listen", "127.0.0.1:0"]
    with started(tmp_path, [sys.executable, "-m", "canaryproxy"], tree, arguments, **PLAIN) as (process, log):
        assert process.wait(PATIENCE) == 1
        said = log.read_text()
        assert "cannot be used: the worker runs canaryproxy 9.9.9 (plain Python" in said
        assert "Traceback" not in said


def test_a_fork_server_that_cannot_run_at_the_start_is_an_error(tmp_path: Path, origins: dict[str, int]) -> None:
    tree = source_tree(tmp_path / "tree")
    (tree / "canaryproxy" / "app/forkserver.py").write_text("raise SystemExit('it is broken')\n")
    arguments = [*two_urls(origins), "--workers", "2", "--listen", "127.0.0.1:0"]
    with started(tmp_path, [sys.executable, "-m", "canaryproxy"], tree, arguments, **PLAIN) as (process, log):
        assert process.wait(PATIENCE) == 1
        assert "the fork server ends before a worker comes of it (exit code 1)" in log.read_text()


def test_an_upgrade_under_a_running_instance_keeps_what_serves_and_ends_when_nothing_does(
    tmp_path: Path, origins: dict[str, int]
) -> None:
    tree, port = source_tree(tmp_path / "tree"), free_port()
    arguments = [*two_urls(origins), "--weight", "50", "--workers", "2", "--listen", f"127.0.0.1:{port}"]
    with started(tmp_path, [sys.executable, "-m", "canaryproxy"], tree, arguments, **PLAIN) as (process, log):
        serves(process, port, log)
        titles = {title: pid for pid, title in processes_below(process.pid).items()}
        upgrade(tree)
        os.kill(titles["canaryproxy: fork server"], signal.SIGKILL)
        until(lambda: "restarting it" in log.read_text())
        os.kill(titles["canaryproxy: worker 1"], signal.SIGKILL)
        until(lambda: "worker 1 cannot be used: the worker runs canaryproxy 9.9.9" in log.read_text())
        assert {ask(port) for _ in range(40)} == {"stable", "canary"}
        assert process.poll() is None
        os.kill(titles["canaryproxy: worker 2"], signal.SIGKILL)
        assert process.wait(PATIENCE) == 1
        assert "no worker is left and none can be started; stopping the instance" in log.read_text()
