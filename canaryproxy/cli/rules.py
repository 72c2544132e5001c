"""`canaryproxy rules`: the exceptions of a route, shown and changed."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from canaryproxy.cli.output import say, say_json
from canaryproxy.cli.remote import ADMIN, Admin, Json, Remote, RemoteError, Token, fail
from canaryproxy.cli.weight import segment


def rules(
    route: Annotated[str, typer.Argument(help="Name of the route.")],
    *,
    add: Annotated[
        str | None, typer.Option(metavar="FILE", help="Add the rule in this file (YAML or JSON), - for stdin.")
    ] = None,
    replace: Annotated[
        str | None, typer.Option(metavar="FILE", help="Replace the rule of the same name, or add it.")
    ] = None,
    remove: Annotated[str | None, typer.Option(metavar="NAME", help="Remove a rule.")] = None,
    admin: Admin = ADMIN,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Show the rules of a route in order, or change one.

    `canaryproxy rules shop`

    `echo '{name: testers, headers: {x-tester: "true"}, to: canary}' | canaryproxy rules shop --add -`
    """
    if sum(one is not None for one in (add, replace, remove)) > 1:
        raise typer.BadParameter("give one of --add, --replace and --remove")
    remote, path = Remote(admin, token), f"/api/v1/routes/{segment(route)}/rules"
    try:
        if add is not None:
            data = remote.call("POST", path, read_rule(add))
        elif replace is not None:
            rule = read_rule(replace)
            data = remote.call("PUT", f"{path}/{segment(str(rule.get('name', '')))}", rule)
        elif remove is not None:
            data = remote.call("DELETE", f"{path}/{segment(remove)}")
        else:
            data = remote.call("GET", path)
    except RemoteError as error:
        raise fail(error) from None
    if as_json:
        say_json(data)
    else:
        say(*lines(route, data))


def read_rule(name: str) -> dict[str, Any]:
    """A rule as written in a file. Raises `typer.BadParameter`."""
    return read_mapping(name, "rule: expected a mapping with `name` and `to`")


def read_mapping(name: str, wanted: str) -> dict[str, Any]:
    """What is written in a file; `wanted` says what it should hold. Raises `typer.BadParameter`."""
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
        raise typer.BadParameter(f"{name} holds no {wanted}")
    return document.tree


def lines(route: str, data: dict[str, Any]) -> Iterator[str]:
    """The rules in order, one a line."""
    if not data["rules"]:
        yield f"{route} has no rules"
        return
    count = len(data["rules"])
    yield f"{route}: {count} rule{'s' * (count > 1)}, by {data['source']}; the first match decides"
    for number, rule in enumerate(data["rules"], 1):
        yield f"{number:3}. {in_words(rule)}"


def in_words(rule: dict[str, Any]) -> str:
    """One rule in words."""
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
