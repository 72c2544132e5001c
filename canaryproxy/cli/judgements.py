"""What the judge says of every canary that has a share, for `status`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

STYLES = {"fail": "red", "worse": "red", "pass": "green", "better": "green"}


def judgements(routes: list[dict[str, Any]]) -> "Table | None":
    """A line for the verdict of each such route, and one for each check; None where there is no such route."""
    from rich.table import Table
    from rich.text import Text

    judged = [route for route in routes if route["weight"] and "analysis" in route]
    if not judged:
        return None
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("route", "check", "verdict", "canary is", "because"):
        shown.add_column(column)
    for route in judged:
        analysis = route["analysis"]
        shown.add_row(route["route"], "", _styled(analysis["verdict"]), "", Text(analysis["reason"]))
        for check in analysis["checks"]:
            shown.add_row(
                "", check["name"], _styled(check["verdict"]), _styled(check["comparison"] or ""), Text(_because(check))
            )
    return shown


def _styled(word: str) -> str:
    style = STYLES.get(word)
    return f"[{style}]{word}[/]" if style else word


def _because(check: dict[str, Any]) -> str:
    return f"{check['sentence']}; {check['missing']}" if check["missing"] else str(check["sentence"])
