"""Deltas added up: what each version of each route has done since the start. Pure."""

from dataclasses import dataclass

from canaryproxy.model.delta import Delta


@dataclass(slots=True)
class Total:
    """Requests answered, and those among them answered with a 5xx."""

    requests: int = 0
    errors: int = 0


class Totals:
    """The sum of all deltas of an instance, by route and version."""

    def __init__(self) -> None:
        self.by_version: dict[tuple[str, str], Total] = {}
        self.refused = 0

    def add(self, delta: Delta) -> None:
        """Count what a delta reports."""
        self.refused += sum(delta.refused.values())
        for cell in delta.cells:
            total = self.by_version.setdefault((cell.key.route, cell.key.version), Total())
            for code, count in cell.codes.items():
                total.requests += count
                total.errors += count if code >= 500 else 0

    def __str__(self) -> str:
        """One sentence, such as `812 requests: default stable 731 (2 failed), default canary 81 (0 failed)`."""
        served = sum(total.requests for total in self.by_version.values()) + self.refused
        parts = [
            f"{route} {version} {total.requests:,} ({total.errors:,} failed)"
            for (route, version), total in sorted(self.by_version.items())
        ]
        if self.refused:
            parts.append(f"refused {self.refused:,}")
        return f"{served:,} requests" + (f": {', '.join(parts)}" if parts else "")
