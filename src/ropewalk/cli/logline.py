"""Lines of a server's log: what callers wrote into a name or a path cannot begin a line of its own or move a cursor."""

from __future__ import annotations

import logging

from ropewalk.cli.terminal import visible

FORM = "%(asctime)s %(levelname)s %(name)s %(message)s"
FOLLOWS = "    | "


class Escaped(logging.Formatter):
    """Writes control characters out, and marks what follows the first line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the entry; only its first line begins at the margin."""
        head, *rest = visible(super().format(record)).split("\n")
        return "\n".join((head, *(FOLLOWS + line for line in rest)))


def begin() -> None:
    """Let everything from warnings on be written to standard error, in such lines."""
    handler = logging.StreamHandler()
    handler.setFormatter(Escaped(FORM))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
