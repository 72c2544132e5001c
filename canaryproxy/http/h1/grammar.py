"""The byte grammar of RFC 9110 and 9112 as compiled patterns.

A whole head is validated by one pattern with possessive repeats, so a match costs one pass over the bytes and a
mismatch cannot backtrack. `line_check` finds the exact error of a rejected head, off the hot path.
"""

import re

TCHAR = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
FIELD_BYTE = rb"[\t\x20-\x7e\x80-\xff]"
# Visible ASCII but `#`: a request target has no fragment and no raw non-ASCII byte (RFC 9112 3.2).
TARGET_BYTE = rb"[\x21\x22\x24-\x7e]"

FIELD_LINE = TCHAR + rb"++:" + FIELD_BYTE + rb"*+\r\n"
FIELD_BLOCK = rb"((?:" + FIELD_LINE + rb")*+)\r\n"

REQUEST_LINE = rb"(" + TCHAR + rb"++) (" + TARGET_BYTE + rb"++) HTTP/1\.([01])\r\n"
STATUS_LINE = rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: (" + FIELD_BYTE + rb"*+))?\r\n"

# Nearly every client sends Host first, as RFC 9110 7.2 asks; its value is captured in the same pass.
#
# An atomic group, not a possessive repeat: after a partial match the latter continues, in CPython 3.11.2, from where
# it failed instead of where it began, so `Host:` with an empty value would end the head.
HOST_FIRST = rb"(?>(?:[Hh][Oo][Ss][Tt]:[ \t]*+([^\x00-\x20\x7f-\xff]++)\r\n)?)"

request_head = re.compile(REQUEST_LINE + HOST_FIRST + FIELD_BLOCK).match
response_head = re.compile(STATUS_LINE + FIELD_BLOCK).match
request_line = re.compile(REQUEST_LINE).fullmatch
status_line = re.compile(STATUS_LINE).fullmatch
field_line = re.compile(FIELD_LINE).fullmatch
other_version = re.compile(TCHAR + rb"++ " + TARGET_BYTE + rb"++ HTTP/[0-9]\.[0-9]\r\n").fullmatch


def one_of(*names: bytes) -> bytes:
    """A case-insensitive pattern for these lower-case field names, grouped by first letter for speed. `_` matches `-`:
    servers that follow CGI cannot distinguish the two.
    """
    groups: dict[bytes, list[bytes]] = {}
    for name in sorted(names):
        groups.setdefault(name[:1], []).append(re.escape(name[1:]).replace(rb"\-", b"[-_]"))
    return b"|".join(b"[%b%b](?i:%b)" % (first, first.upper(), b"|".join(rest)) for first, rest in groups.items())


# Any name of the older family of forwarding fields; `_` matches `-`.
X_FORWARDED = rb"[xX][-_](?i:forwarded)(?:[-_]" + TCHAR + rb"*+)?"


def field_finder(*names: bytes, also: bytes = b"") -> re.Pattern[bytes]:
    """A pattern that finds fields of these names in a validated head: (name, value) per match. `also` is a pattern for
    further names, which must share their first letter with one of the names.

    A match starts at the line feed before the field and ends before the next one, so a search jumps from line to line.
    """
    letters = b"".join(sorted({letter for name in names for letter in (name[:1], name[:1].upper())}))
    wanted = one_of(*names) + (b"|" + also if also else b"")
    return re.compile(rb"\n(?=[%b])(%b):([^\r]*)\r" % (letters, wanted))


def routine_head(start_line: bytes, *special: bytes) -> re.Pattern[bytes]:
    """A pattern for the head of nearly every response: one length, perhaps `keep-alive`, and no other `special` field.
    Groups after those of the start line: plain lines, a length or None, plain lines, a length or None, plain lines.

    Atomic groups, not possessive repeats: with a look-ahead inside, the latter never match in CPython 3.11.2 (Debian
    12).
    """
    plain = rb"((?>(?:(?!(?:%b):)%b)*))" % (one_of(*special), FIELD_LINE)
    routine = rb"(?>[Cc]ontent-[Ll]ength: ([0-9]{1,18})\r\n|[Cc]onnection: keep-alive\r\n|)"
    return re.compile(start_line + plain + routine + plain + routine + plain + rb"\r\n")


# Limit on a chunk's first line in bytes, its extension and line end included.
MAX_CHUNK_LINE = 4_096

chunk_line = re.compile(rb"([0-9A-Fa-f]{1,16})((?:[ \t]*;" + FIELD_BYTE + rb"*)?)\r\n").fullmatch
# `chunk_line` at an offset in a body.
whole_chunk_line = re.compile(rb"([0-9A-Fa-f]{1,16})((?:[ \t]*;" + FIELD_BYTE + rb"*+)?)\r\n").match

token = re.compile(TCHAR + rb"++").fullmatch
# uri-host [ ":" port ] without user information, the port in range (RFC 3986 3.2, RFC 9110 4.2.4).
authority = re.compile(
    rb"(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._~!$&'()*+;=%\-]{1,255})(?::(?:[0-9]{0,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}"
    rb"|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?"
).fullmatch

# Larger lengths overflow the signed 64-bit counters of other servers and are rejected.
MAX_LENGTH = 2**63 - 1
