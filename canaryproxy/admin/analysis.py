"""What the judge found, as the API shows it."""

from dataclasses import asdict

from canaryproxy.admin import models
from canaryproxy.analysis.finding import Finding, JudgeReport
from canaryproxy.analysis.stats.eprocess import MAX_FACTOR


def analysis_of(route: str, found: JudgeReport) -> models.AnalysisDocument:
    """The whole, with every check."""
    return models.AnalysisDocument(
        route=route,
        verdict=found.verdict,
        reason=found.reason,
        evidence=_shown(found.evidence) or 0.0,
        threshold=_shown(found.threshold) or 0.0,
        seconds=round(found.seconds, 3),
        weight=found.weight / 100,
        placebo=round(found.placebo, 4),
        dry_run=found.dry_run,
        checks=[_check(one) for one in found.checks],
    )


def _check(found: Finding) -> models.CheckDocument:
    schema = asdict(found)
    schema["interval"] = None if found.interval is None else list(found.interval)
    for name in ("evidence", "threshold", "better", "proof"):
        schema[name] = _shown(schema[name])
    return models.CheckDocument(**schema)


def _shown(value: float | None) -> float | None:
    """With six digits; more than `MAX_FACTOR` is as good as that."""
    return None if value is None else float(f"{min(value, MAX_FACTOR):.6g}")
