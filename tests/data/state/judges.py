"""Writes down judges of a version with evidence of every kind, and what that version says of them afterwards.

cp tests/support/{golden,judged}.py OLD/tests/support/
cd OLD && PYTHONPATH=$PWD .venv/bin/python NEW/tests/data/state/judges.py NEW/tests/data/state/64e2905
"""

import json
import sys
from pathlib import Path
from typing import Any

from tests.support.golden import plain
from tests.support.judged import JUDGED, fresh


def main() -> None:
    """All of them."""
    for name, make in JUDGED.items():
        world = make()
        before: Any = world.judge
        after: Any = fresh(world)
        if hasattr(before, "kept"):  # of 64e2905
            stored = json.loads(json.dumps(before.kept(world.now)))
            after.recall(stored, world.now)
        else:
            stored = json.loads(json.dumps(before.snapshot(world.now)))
            after.restore(stored, world.now)
        found = {"now": world.now, "stored": stored, "analysis": plain(after.analysis(world.now))}
        Path(sys.argv[1], f"judge-{name}.json").write_text(json.dumps(found) + "\n")
        print(name, after.analysis(world.now).verdict, after.analysis(world.now).placebo)


if __name__ == "__main__":
    main()
