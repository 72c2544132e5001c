"""`canaryproxy weight`, `canary` and `rules`: show and change the traffic split of a route."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from canaryproxy.cli.remote import ADMIN, Admin, Json, Remote, Token, exit_on_error, segment, show

Route = Annotated[str, typer.Argument(help="Name of the route.")]
RULE = "rule: expected a mapping with `name` and `to`"


def weight(
    route: Route,
    percent: Annotated[str, typer.Argument(metavar="PERCENT", help="Weight, such as 5, 0.25 or 12.5%.")],
    *,
    admin: Admin = ADMIN,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Set the weight of the canary. Returns once every worker uses it.

    `canaryproxy weight shop 12.5`
    """
    with exit_on_error():
        data = Remote(admin, token).call("PUT", f"/api/v1/routes/{segment(route)}/weight", {"canary": share(percent)})
    show(data, weight_text, as_json=as_json)


def share(text: str) -> float:
    """Parse a percentage. Raises `typer.BadParameter`."""
    from canaryproxy.config.problems import InvalidValueError
    from canaryproxy.config.types.quantity import percent
    from canaryproxy.config.yaml.scalars import typed_scalar

    try:
        return percent(typed_scalar(text)) / 100
    except InvalidValueError as wrong:
        raise typer.BadParameter(wrong.hint, param_hint="PERCENT") from None


def weight_text(data: dict[str, Any]) -> list[str]:
    """The weight in a sentence."""
    split = f"{data['canary']:g} % to canary, {data['stable']:g} % to stable"
    return [f"{data['route']}: {split} (generation {data['generation']})"]


def canary(
    route: Route,
    url: Annotated[str | None, typer.Argument(metavar="[URL]", help="URL of the new canary.")] = None,
    *,
    file: Annotated[str | None, typer.Option(metavar="FILE", help="Set the canary from FILE, - for stdin.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the canary; it must receive no traffic.")] = False,
    admin: Admin = ADMIN,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Show, set or remove the canary of a route. A new canary starts at weight 0.

    `canaryproxy canary shop http://shop-canary:8080`

    `canaryproxy canary shop --remove`
    """
    if sum((url is not None, file is not None, remove)) > 1:
        raise typer.BadParameter("give one of URL, --file and --remove")
    remote, path = Remote(admin, token), f"/api/v1/routes/{segment(route)}/canary"
    with exit_on_error():
        if remove:
            data = remote.call("DELETE", path)
        elif file is not None:
            data = remote.call("PUT", path, read_mapping(file, "canary: expected a mapping with `url`"))
        elif url is not None:
            data = remote.call("PUT", path, {"url": url})
        else:
            data = remote.call("GET", path)
    show(data, canary_text, as_json=as_json)


def canary_text(data: dict[str, Any]) -> list[str]:
    """The canary in a sentence."""
    canary = data["canary"]
    if canary is None:
        return [f"{data['route']}: no canary, by {data['source']}; all traffic goes to stable"]
    urls = canary["url"] if "url" in canary else " ".join(canary["endpoints"])
    more = f", {data['weight']:g} % to canary, {data['phase']}" if "weight" in data else ""
    return [f"{data['route']}: canary {urls}, by {data['source']}{more}"]


def rules(
    route: Route,
    *,
    add: Annotated[str | None, typer.Option(metavar="FILE", help="Append the rule in FILE, - for stdin.")] = None,
    replace: Annotated[str | None, typer.Option(metavar="FILE", help="Replace or append the rule in FILE.")] = None,
    remove: Annotated[str | None, typer.Option(metavar="NAME", help="Remove a rule.")] = None,
    admin: Admin = ADMIN,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Show the rules of a route in order, or change a rule.

    `canaryproxy rules shop`

    `echo '{name: testers, headers: {x-tester: "true"}, to: canary}' | canaryproxy rules shop --add -`
    """
    if sum(one is not None for one in (add, replace, remove)) > 1:
        raise typer.BadParameter("give one of --add, --replace and --remove")
    remote, path = Remote(admin, token), f"/api/v1/routes/{segment(route)}/rules"
    with exit_on_error():
        if add is not None:
            data = remote.call("POST", path, read_mapping(add, RULE))
        elif replace is not None:
            rule = read_mapping(replace, RULE)
            data = remote.call("PUT", f"{path}/{segment(str(rule.get('name', '')))}", rule)
        elif remove is not None:
            data = remote.call("DELETE", f"{path}/{segment(remove)}")
        else:
            data = remote.call("GET", path)
    show(data, lambda data: rules_text(route, data), as_json=as_json)


def read_mapping(name: str, wanted: str) -> dict[str, Any]:
    """Read a mapping from a YAML file; `wanted` describes it in errors. Raises `typer.BadParameter`."""
    from canaryproxy.config.yaml.document import read_document
    from canaryproxy.config.yaml.nodes import UnreadableYamlError

    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{name} cannot be read: {error}") from None
    try:
        document = read_document(text, {})
    except UnreadableYamlError as error:
        raise typer.BadParameter(f"{name}:{error.position.line}: {error.wrong.hint}") from None
    if not isinstance(document.tree, dict):
        raise typer.BadParameter(f"{name} contains no {wanted}")
    return document.tree


def rules_text(route: str, data: dict[str, Any]) -> list[str]:
    """The rules in order, one per line."""
    count = len(data["rules"])
    if not count:
        return [f"{route} has no rules"]
    heading = f"{route}: {count} rule{'s' * (count > 1)}, by {data['source']}; the first match decides"
    return [heading, *(f"{number:3}. {in_words(rule)}" for number, rule in enumerate(data["rules"], 1))]


def in_words(rule: dict[str, Any]) -> str:
    """A rule as a sentence."""
    conditions = [
        f"{subject.removesuffix('s')} {name} {_matcher(match)}"
        for subject in ("headers", "cookies", "query")
        for name, match in rule.get(subject, {}).items()
    ]
    if "methods" in rule:
        conditions.append("method " + " or ".join(rule["methods"]))
    if "path" in rule:
        conditions.append(f"path {_matcher(rule['path'])}")
    if "sources" in rule:
        conditions.append("client in " + " or ".join(rule["sources"]))
    share = f"{rule['percent']:g} % " if rule.get("percent", 100) != 100 else ""
    flags = [flag for flag in ("preview", "analyse") if rule.get(flag)]
    more = f" ({', '.join(flags)})" if flags else ""
    return f"{rule['name']}: {' and '.join(conditions) or 'every request'} -> {share}{rule['to']}{more}"


def _matcher(match: Any) -> str:
    if not isinstance(match, dict):
        return f"= {match}"
    kind, value = next(iter(match.items()))
    if kind == "present":
        return "present" if value else "absent"
    return f"in {', '.join(value)}" if kind == "in" else f"{kind} {value}"
