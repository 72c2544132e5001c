"""What the processes say of themselves: one line for each event on standard error, for people or as JSON.

Values belong into `extra`, under `fields`, so that machines find them; the sentence says the same to people. No
message carries a token, a key, a header or a body.
"""

import json
import logging
import os
import sys
import time

FORMAT = "CANARYPROXY_LOG"
"""Environment variable that hands level and format on to the workers: `info:text`, `debug:json`, and the like."""

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("text", "json")


class Json(logging.Formatter):
    """One JSON object a line: `time` (UTC, RFC 3339), `level`, `message`, `process`, then the event's fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        told: dict[str, object] = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            "process": record.process,
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told, default=str)


def configure(level: str | None = None, form: str | None = None) -> None:
    """Set the log up, as given or else as the parent process was told. Raises `ValueError` for unknown words."""
    inherited = os.environ.get(FORMAT, "info:text").partition(":")
    level, form = level or inherited[0], form or inherited[2]
    if level not in LEVELS or form not in FORMATS:
        raise ValueError(f"no such log: {level}:{form}")
    os.environ[FORMAT] = f"{level}:{form}"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        Json() if form == "json" else logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S")
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
