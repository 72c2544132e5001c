"""Writes down what a version writes of one route with every field, and of older golden states that it has read.

cp tests/support/{golden,stored}.py OLD/tests/support/
cd OLD && PYTHONPATH=$PWD .venv/bin/python NEW/tests/data/state/documents.py NEW/tests/data/state d8fb47b
"""

import hashlib
import json
import sys
import tempfile
from pathlib import Path

from canaryproxy.control import evidence
from canaryproxy.storage.codec import write_state
from tests.data.state.make import restored
from tests.support.stored import one_evidence, route_state, written_again


def main() -> None:
    """All of them."""
    out, version = Path(sys.argv[1]), sys.argv[2]
    (out / version / "route.txt").write_text(write_state(route_state()))
    (out / version / "evidence.txt").write_text(evidence.dump(one_evidence()))
    found = {}
    for sql in sorted(out.glob("*/*.sql")):
        with tempfile.TemporaryDirectory() as folder:
            again = written_again(restored(sql, Path(folder, "state.db")), sql.with_suffix(".yaml").read_text())
        digests = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in again["evidence"].items()}
        found[f"{sql.parent.name}/{sql.stem}"] = {"routes": again["routes"], "evidence": digests}
    (out / version / "written.json").write_text(json.dumps(found, indent=1) + "\n")
    print(len(found))


if __name__ == "__main__":
    main()
