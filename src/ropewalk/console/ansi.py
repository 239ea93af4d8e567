"""What programs write for terminals, as a page may show it: colours as words, all that would move a cursor left out."""

from __future__ import annotations

import re
from collections.abc import Iterator

LETTERS_MAX = 4000
COLOURS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
# Control sequences (ECMA-48): CSI; OSC and its like up to their end; all others of two letters.
_ESCAPE = re.compile(
    r"\x1b\[([0-?]*)([ -/]*[@-~])|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]|\x1b|\x9b[0-?]*[ -/]*[@-~]"
)
# Control characters, and those by which Unicode turns the order of letters around.
_HIDDEN = {
    code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"  # noqa: PLR2004 - two digits say no more
    for code in (
        *range(9),
        *range(10, 32),
        *range(127, 160),
        0x200E,
        0x200F,
        *range(0x202A, 0x202F),
        *range(0x2066, 0x206A),
    )
}
_BOLD, _DIM, _ITALIC, _UNDERLINE, _EXTENDED = 1, 2, 3, 4, 38
Run = tuple[str, str]


def runs_of(line: str) -> list[Run]:
    """Return a line as pairs of classes and text; of a line that was written over, what stood there last.

    Args:
        line: without its end. A carriage return begins it anew.
    """
    line = line.rstrip("\r").rpartition("\r")[2]
    left = len(line) - LETTERS_MAX
    found = [(classes, text) for classes, text in _runs(line[:LETTERS_MAX]) if text]
    return [*found, ("dim", f" … {left:,} more letters")] if left > 0 else found


def _runs(line: str) -> Iterator[Run]:
    style: dict[str, str] = {}
    at = 0
    for escape in _ESCAPE.finditer(line):
        yield " ".join(style.values()), line[at : escape.start()].translate(_HIDDEN)
        at = escape.end()
        if escape[2] == "m":
            style = _styled(style, escape[1])
    yield " ".join(style.values()), line[at:].translate(_HIDDEN)


def _styled(style: dict[str, str], told: str) -> dict[str, str]:
    """Return the style after a `Select Graphic Rendition`; colours beyond the eight are left out."""
    codes = [int(word) if word.isdigit() and len(word) < 4 else 0 for word in re.split("[;:]", told or "0")]  # noqa: PLR2004 - up to 255
    style = dict(style)
    while codes:
        code = codes.pop(0)
        if code == 0:
            style.clear()
        elif code in (_BOLD, _DIM, _ITALIC, _UNDERLINE):
            word = ("", "bold", "dim", "italic", "underline")[code]
            style[word] = word
        elif code in (22, 23, 24):
            for word in {22: ("bold", "dim"), 23: ("italic",), 24: ("underline",)}[code]:
                style.pop(word, None)
        elif code in (_EXTENDED, _EXTENDED + 10):
            del codes[: 4 if codes[:1] == [2] else 2]
            style.pop("colour", None)
        elif code == 39:  # noqa: PLR2004 - the usual colour
            style.pop("colour", None)
        elif code // 10 in (3, 9) and code % 10 < len(COLOURS):
            style["colour"] = f"ansi-{COLOURS[code % 10]}"
    return style
