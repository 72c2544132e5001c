"""results.json: rows, and of which run each part is. A part that is run again replaces itself, the others stay."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.race.rows import Row, Rows

PATH = Path(__file__).parents[1] / "results.json"


@dataclass(frozen=True)
class Run:
    """When, where and how a part was measured."""

    command: str
    date: str
    machine: str
    version: str
    rounds: int
    seconds: float


@dataclass
class Results:
    """All parts that were measured."""

    runs: dict[str, Run] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)

    def part(self, name: str) -> Rows:
        """The rows of a part."""
        return Rows(self.rows).part(name)

    def put(self, name: str, run: Run, rows: Iterable[Row]) -> None:
        """Replace a part."""
        self.runs[name] = run
        self.rows = [row for row in self.rows if row.part != name] + list(rows)

    def write(self, path: Path = PATH) -> None:
        """One row a line: a diff that can be read."""
        runs = json.dumps({name: asdict(run) for name, run in self.runs.items()}, indent=1)
        rows = ",\n".join(json.dumps(asdict(row)) for row in self.rows)
        path.write_text(f'{{"runs": {runs},\n"rows": [\n{rows}\n]}}\n')


def read(path: Path = PATH) -> Results:
    """What was measured before; nothing where there is no such file."""
    if not path.exists():
        return Results()
    document = json.loads(path.read_text())
    runs = {name: Run(**run) for name, run in document["runs"].items()}
    return Results(runs, [Row(**row) for row in document["rows"]])
