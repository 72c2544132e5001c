"""Where the admin API is, as people write it: a URL, or just a host and a port. Pure."""

from urllib.parse import urlsplit

import typer

PORT = 9900
HERE = "127.0.0.1"
BAD = frozenset(" \\")
EXPECTED = (
    "expected a URL or an address, such as http://127.0.0.1:9900, gateway:9900, :9900 or https://ops.example.com/canary"
)


def admin_url(text: str) -> str:
    """The URL that is meant: without a scheme it is http, without a host this machine. Raises `typer.BadParameter`.

    A host without a scheme is asked at port 9900, one in a URL at the port of its scheme.
    """
    written = text.strip()
    if not written or not written.isascii() or not written.isprintable() or not BAD.isdisjoint(written):
        raise typer.BadParameter(EXPECTED)
    if written.isdigit():
        raise typer.BadParameter(f"write :{written} for that port of this machine")
    scheme, mark, rest = written.partition("://")
    if not mark:
        scheme, rest = "http", written
    elif scheme.lower() not in ("http", "https"):
        raise typer.BadParameter(f"only http:// and https:// are understood; {EXPECTED}")
    authority, slash, path = rest.partition("/")
    if "@" in authority:
        raise typer.BadParameter("leave out user and password (what stands before the @); --token says who you are")
    if "?" in rest or "#" in rest:
        raise typer.BadParameter(f"leave out query and fragment; {EXPECTED}")
    found = f"{scheme.lower()}://{_authority(authority, bare=not mark)}{slash}{path}"
    return found.rstrip("/")


def _authority(written: str, *, bare: bool) -> str:
    """Host and port, as a URL has them. `bare`: it was written without a scheme."""
    if written.count(":") > 1 and not written.startswith("["):
        raise typer.BadParameter("put an IPv6 address in brackets, like [::1]:9900")
    if written.endswith(":") or (written.startswith(":") and not bare):
        raise typer.BadParameter(EXPECTED)
    try:
        parts = urlsplit(f"//{written}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise typer.BadParameter(EXPECTED) from None
    if port == 0 or (not host and (port is None or not bare)):
        raise typer.BadParameter(EXPECTED)
    if bare:
        host, port = host or HERE, port or PORT
    shown = f"[{host}]" if ":" in host else host
    return shown if port is None else f"{shown}:{port}"
