"""What a stream may be shown: whether it is a terminal, and text that cannot play tricks with it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console

# Control characters in what users and models wrote must not move the reader's cursor or colour his terminal.
_VISIBLE = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if code not in (9, 10)}


def is_terminal(stream: TextIO) -> bool:
    """Say whether the stream is a terminal that understands more than plain text."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def visible(text: str) -> str:
    """Return the text with control characters written out; tabs and line ends stay."""
    return text.translate(_VISIBLE)


def red(text: str) -> str:
    """Return the text in red, or as it is where NO_COLOR asks for that (no-color.org)."""
    return text if os.environ.get("NO_COLOR") else f"\x1b[31;1m{text}\x1b[0m"


def console(stream: TextIO) -> Console:
    """Return rich's way to draw on a terminal; nothing in a text is taken for markup."""
    from rich.console import Console

    return Console(file=stream, highlight=False, markup=False, emoji=False)
