"""Lines of a server's log, as text or as JSON, each with the number of the request that it is about."""

from __future__ import annotations

import argparse
import logging
import os
from typing import Any

from ropewalk.cli.terminal import visible

FORM = "%(asctime)s %(levelname)s %(name)s %(message)s"
FOLLOWS = "    | "
TEXT, JSON = "text", "json"
VARIABLE = "ROPEWALK_LOG"


class Escaped(logging.Formatter):
    """Writes control characters out, and marks what follows the first line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the entry; only its first line begins at the margin."""
        from ropewalk.telemetry.context import CURRENT

        request = CURRENT.get().request
        head, *rest = visible(super().format(record) + (f" [request {request}]" if request else "")).split("\n")
        return "\n".join((head, *(FOLLOWS + line for line in rest)))


class Structured(logging.Formatter):
    """Writes an entry as one object of JSON on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the entry: when, how bad, who says what, of which request, and what else was told."""
        import msgspec

        from ropewalk.clock import iso
        from ropewalk.telemetry.context import CURRENT

        current = CURRENT.get()
        told: dict[str, Any] = {
            "time": iso(int(record.created * 1_000_000)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": current.request,
            "trace_id": current.trace,
            **getattr(record, "told", {}),
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode({name: value for name, value in told.items() if value != ""}).decode()


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the form of the log."""
    form = JSON if os.environ.get(VARIABLE) == JSON else TEXT
    parser.add_argument(
        "--log", choices=(TEXT, JSON), default=form, help=f"form of the log on standard error; or {VARIABLE}"
    )
    parser.add_argument("--log-requests", action="store_true", help="a line for each request; no data plane then")


def begin(form: str = TEXT, *, requests: bool = False) -> None:
    """Let everything from warnings on be written to standard error, in such lines.

    Args:
        form: `text` or `json`.
        requests: whether each request gets a line too.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(Structured() if form == JSON else Escaped(FORM))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    if requests:
        logging.getLogger("ropewalk.access").setLevel(logging.INFO)
