"""What the judge says of every canary that has a share, for `status`."""

from typing import TYPE_CHECKING, Any

from canaryproxy.cli.output import Sheet, line

if TYPE_CHECKING:
    from rich.text import Text  # noqa: TID251 - the type alone

STYLES = {"fail": "red", "worse": "red", "pass": "green", "better": "green"}


def judgements(routes: list[dict[str, Any]]) -> Sheet | None:
    """A line for the verdict of each such route, and one for each check; None where there is no such route."""
    judged = [route for route in routes if route["weight"] and "analysis" in route]
    if not judged:
        return None
    shown = Sheet()
    for column in ("route", "check", "verdict", "comparison", "reason"):
        shown.add_column(column, again=column == "route", free=column == "reason")
    for route in judged:
        analysis = route["analysis"]
        shown.add_row(route["route"], "", _styled(analysis["verdict"]), "", analysis["reason"])
        for check in analysis["checks"]:
            shown.add_row(
                "", check["name"], _styled(check["verdict"]), _styled(check["comparison"] or ""), _reason(check)
            )
    return shown


def _styled(word: str) -> "Text":
    return line(word, STYLES.get(word, ""))


def _reason(check: dict[str, Any]) -> str:
    return f"{check['sentence']}; {check['missing']}" if check["missing"] else str(check["sentence"])
