"""A job of the how-to for CI, run as GitHub Actions would: each `run` by bash, with the expressions filled in."""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.support.process import ROOT

HOWTO = ROOT / "docs" / "howto" / "ci-and-gitops.md"
EXPRESSION = re.compile(r"\$\{\{ *([\w.]+) *\}\}")
PATIENCE = 60.0


def blocks() -> list[Any]:
    """Every YAML document of the how-to, parsed."""
    return [yaml.safe_load(text) for text in re.findall(r"```ya?ml\n(.*?)```", HOWTO.read_text("utf-8"), re.DOTALL)]


def job() -> dict[str, Any]:
    """The job of the how-to."""
    found: dict[str, Any] = next(one for one in blocks() if "jobs" in one)["jobs"]["canary"]
    return found


@dataclass
class Done:
    """What became of a job: the exit code of the step that failed, 0 where none did, and all that was printed."""

    code: int = 0
    transcript: list[str] = field(default_factory=list)
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The transcript."""
        return "\n".join(self.transcript)


def run(sha: str, folder: Path, environment: Mapping[str, str]) -> Done:
    """Run the job for a commit. `environment` takes the place of the job's own."""
    done = Done()
    for step in job()["steps"]:
        condition = step.get("if", "success()")
        named = re.search(r"steps\.(\w+)\.outputs\.(\w+)", condition)
        output = done.outputs.get(named[1], {}).get(named[2], "") if named else "yes"
        if not output or (done.code and "always()" not in condition and "failure()" not in condition):
            continue
        code = _step(step, sha, folder, environment, done)
        done.code = done.code or code
    return done


def _step(step: Mapping[str, Any], sha: str, folder: Path, environment: Mapping[str, str], done: Done) -> int:
    known = {"github.sha": sha} | {
        f"steps.{step_id}.outputs.{name}": value
        for step_id, outputs in done.outputs.items()
        for name, value in outputs.items()
    }
    script = EXPRESSION.sub(lambda found: known[found[1]], step["run"].strip())
    output = folder / f"output-{sha}"
    output.write_text("")
    went = subprocess.run(
        ["bash", "-e", "-c", script], env={**os.environ, **environment, "GITHUB_OUTPUT": str(output)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=PATIENCE, cwd=folder,
    )  # fmt: skip
    done.transcript += [*(f"$ {line}" for line in script.splitlines()), went.stdout.rstrip(), f"-> {went.returncode}"]
    if "id" in step:
        lines = output.read_text().splitlines()
        done.outputs[step["id"]] = dict(line.split("=", 1) for line in lines)
    return went.returncode
