"""Our load generator (c/load.c): opened, read off, let go, read off again."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from bench.processes import program
from bench.race.compile import compiled

QUANTILES = ("50", "90", "99", "99.9", "100")


@dataclass(frozen=True)
class Answers:
    """What one load got. `quantiles`: percent to microseconds, from the moment a request was due.

    `late` are requests that were sent a millisecond or more after they were due, `uncompleted` those without an answer
    when patience ended, `closed` kept connections that the proxy ended between requests.
    """

    requests: int
    errors: int
    uncompleted: int
    late: int
    closed: int
    seconds: float
    bytes: int
    error: str
    quantiles: dict[str, float]

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds

    def latencies(self) -> dict[str, float]:
        """`p50` and so on, in microseconds."""
        return {f"p{percent}": value for percent, value in self.quantiles.items()}


def read(line: str) -> Answers:
    """The line that the generator prints. Raises `ValueError` where it is none."""
    try:
        return Answers(**json.loads(line))
    except (TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"the load said: {line!r}") from error


class Load:
    """A generator whose connections are open, each of them asked once."""

    def __init__(self, name: str, process: "subprocess.Popen[str]") -> None:
        self._name, self._process = name, process
        self._expect("ready")

    def go(self) -> Answers:
        """Ask, and return when all is answered; the connections stay open. Ends the run where a request failed."""
        self._input.write("go\n")
        self._input.flush()
        answers = read(self._line())
        if answers.errors:
            sys.exit(
                f"{self._name}: {answers.errors} requests failed ({answers.error}); its figures would mean nothing"
            )
        if not answers.requests:
            sys.exit(f"{self._name}: no request was answered")
        return answers

    def _expect(self, word: str) -> None:
        line = self._line()
        if line.strip() != word:
            sys.exit(f"{self._name}: the load did not get ready: {line!r}; what it said is above")

    @property
    def _input(self) -> IO[str]:
        assert self._process.stdin
        return self._process.stdin

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline()


@contextlib.contextmanager
def load(name: str, port: int, *options: str | int, core: int | None = None) -> Iterator[Load]:
    """Open connections to a port; they are closed at the end. `options`: c/options.h. `name` is for messages."""
    command = [str(compiled("load")), "--port", str(port), *map(str, options)]
    if core is not None:
        command = [program("taskset"), "-c", str(core), *command]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Load(name, process)
        finally:
            if process.stdin:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
