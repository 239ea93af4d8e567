"""What a command prints: text and tables for people, one JSON object for machines, colour on a terminal alone."""

from __future__ import annotations

import io
import json
import math
import sys
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TextIO, cast

from ropewalk.cli.terminal import console, is_terminal, red, visible
from ropewalk.cli.typed import as_typed

if TYPE_CHECKING:
    from ropewalk.cli.bar import Bar


class Progress(Protocol):
    """Work that takes more than a second, while it goes on."""

    def advance(self, amount: float = 1) -> None:
        """Say that so much more of the total is done."""
        ...

    def note(self, text: str) -> None:
        """Say what is being done now."""
        ...


class Output:
    """Where a command speaks.

    With `json`, everything said to people is silent and `result` is printed at the end in one envelope:
    `{"command": ..., "ok": true, "result": ..., "next": [...]}`, or `{"command": ..., "ok": false, "error": {...}}`.

    Args:
        json: whether a machine reads.
        stdout: where answers go; the process's own when None.
        stderr: where progress and errors go; the process's own when None.
    """

    def __init__(self, *, json: bool, stdout: TextIO | None = None, stderr: TextIO | None = None) -> None:
        self.json = json
        self.command = ""
        self.project: Path | None = None
        self.stdout = stdout or sys.stdout
        self.stderr = stderr or sys.stderr
        self._result: object = None
        self._bar: Bar | None = None
        self._unheard = False
        self._failed = False
        self._next: tuple[str, ...] = ()

    @property
    def on_terminal(self) -> bool:
        """Whether a person looks at a terminal that can draw."""
        return not self.json and is_terminal(self.stdout)

    def line(self, text: str = "", *, style: str = "") -> None:
        """Print one line; `style` is a rich style such as `bold` or `red`, used on a terminal alone."""
        if self.json:
            return
        if self._bar is not None and self.on_terminal:
            self._bar.above(visible(text), style)
        elif style and self.on_terminal:
            from rich.text import Text

            console(self.stdout).print(Text(visible(text), style=style), soft_wrap=True)
        else:
            self.stdout.write(visible(text) + "\n")

    def now(self, text: str = "", *, style: str = "") -> None:
        """Print one line of work that goes on, so that who reads a pipe or a file sees it at once.

        Where nobody reads any more the work goes on unheard: hours of it must not be lost to a closed pager. The
        command ends as one does whose reader went away, but when it has finished.
        """
        try:
            self.line(text, style=style)
            self.stdout.flush()
        except BrokenPipeError:
            self._unheard = True
            self.stdout = _Nowhere()

    def fields(self, pairs: Mapping[str, object]) -> None:
        """Print names and values below each other, the values aligned."""
        width = max((len(name) for name in pairs), default=0)
        for name, value in pairs.items():
            self.line(f"{name:<{width}}  {value}")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
        """Print rows under their column names; numbers stand to the right."""
        if self.json:
            return
        cells = [[_cell(value) for value in row] for row in rows]
        right = [bool(cells) and all(_is_number(row[at]) for row in cells) for at in range(len(columns))]
        if self.on_terminal:
            self._drawn_table(columns, cells, right, title)
        else:
            self._plain_table(columns, cells, right, title)

    @contextmanager
    def progress(self, label: str, total: float | None = None) -> Generator[Progress]:
        """Show that work goes on: a bar on a terminal, one line where there is none, nothing for machines.

        Args:
            label: what is being done.
            total: how much there is to do, in the unit of `advance`; None where nobody knows.
        """
        if self.json:
            yield _Silent()
        elif is_terminal(self.stderr):
            from ropewalk.cli.bar import Bar

            with Bar(console(self.stderr), label, total) as shown:
                self._bar = shown
                try:
                    yield shown
                finally:
                    self._bar = None
        else:
            self.stderr.write(f"{visible(label)} ...\n")
            self.stderr.flush()
            yield _Silent()

    def result(self, value: object) -> None:
        """Give the machine's answer: anything that JSON can say, once a command."""
        self._result = value

    def next(self, *commands: str) -> None:
        """End with what one may type next; machines get the same list."""
        self._next = tuple(as_typed(command) for command in commands)
        if commands and not self.json:
            self.stdout.write("\nnext:\n" + "".join(f"  {visible(command)}\n" for command in self._next))

    def finish(self) -> None:
        """Print the envelope if a machine reads, and let everything out.

        Raises:
            BrokenPipeError: nobody reads any more.
        """
        if self.json and not self._failed:
            self._envelope({"ok": True, "result": self._result, "next": list(self._next)})
        self.stdout.flush()
        if self._unheard:
            raise BrokenPipeError

    def fail(self, error: Mapping[str, str]) -> None:
        """Print an error: the envelope for machines, four lines on stderr for people."""
        self.stdout.flush()
        self._failed = True
        if self.json:
            self._envelope({"ok": False, "error": dict(error)})
            self.stdout.flush()
            return
        head = f"error[{error['code']}]:"
        colour = is_terminal(self.stderr)
        lines = [f"{red(head) if colour else head} {visible(error['what'])}"]
        told = {**error, "fix": as_typed(error["fix"])}
        lines += [f"  {name + ':':<7}{visible(told[name])}" for name in ("where", "why", "fix") if told[name]]
        self.stderr.write("\n".join(lines) + "\n")
        self.stderr.flush()

    def _envelope(self, body: Mapping[str, object]) -> None:
        whole = {"command": self.command, **body}
        self.stdout.write(json.dumps(_sayable(whole), ensure_ascii=False, allow_nan=False) + "\n")

    def _drawn_table(self, columns: Sequence[str], cells: list[list[str]], right: list[bool], title: str) -> None:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        drawn = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        for name, to_the_right in zip(columns, right, strict=True):
            drawn.add_column(name, justify="right" if to_the_right else "left", overflow="fold")
        for row in cells:
            drawn.add_row(*(Text(cell) for cell in row))
        console(self.stdout).print(drawn)

    def _plain_table(self, columns: Sequence[str], cells: list[list[str]], right: list[bool], title: str) -> None:
        widths = [max(len(name), *(len(row[at]) for row in cells), 0) for at, name in enumerate(columns)]
        if title:
            self.line(title)
        for row in (list(columns), *cells):
            shape = zip(row, widths, right, strict=True)
            parts = (f"{cell:>{width}}" if to_the_right else f"{cell:<{width}}" for cell, width, to_the_right in shape)
            self.stdout.write("  ".join(parts).rstrip() + "\n")


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return visible(text).replace("\n", " ").replace("\t", " ")


def _is_number(text: str) -> bool:
    return text == "" or text.lstrip("-+").replace(".", "", 1).replace("%", "").isdigit()


def _sayable(value: object) -> object:
    """Return the value with what JSON cannot say replaced: null for NaN and infinities, text for paths and the like."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case str() | int() | None:
            return value
        case Mapping():
            return {str(key): _sayable(one) for key, one in cast("Mapping[object, object]", value).items()}
        case list() | tuple():
            return [_sayable(one) for one in cast("Sequence[object]", value)]
        case _:
            return str(value)


class _Nowhere(io.StringIO):
    """A stream that keeps nothing."""

    def write(self, text: str, /) -> int:
        """Take the text and drop it."""
        return len(text)


class _Silent:
    def advance(self, amount: float = 1) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""
