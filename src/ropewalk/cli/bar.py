"""The moving bar of work that takes long, drawn by rich on a terminal alone."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from ropewalk.cli.terminal import visible


class Bar:
    """A line with a spinner, a label, how much is done and for how long; it is gone when the work is done."""

    def __init__(self, console: Console, label: str, total: float | None) -> None:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn())
        counted = (MofNCompleteColumn(),) if total is not None else ()
        self._label = label
        self._shown = Progress(*columns, *counted, TimeElapsedColumn(), console=console, transient=True)
        self._task = self._shown.add_task(_plain(label), total=total)

    def __enter__(self) -> Self:
        self._shown.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._shown.stop()

    def advance(self, amount: float = 1) -> None:
        """Move the bar by so much."""
        self._shown.advance(self._task, amount)

    def above(self, text: str, style: str) -> None:
        """Print a line that stays, above the moving one."""
        self._shown.console.print(Text(text, style=style), soft_wrap=True)

    def note(self, text: str) -> None:
        """Say after the label what is being done now."""
        self._shown.update(self._task, description=_plain(f"{self._label}: {text}"))


def _plain(text: str) -> str:
    """Return the text so that rich takes no bracket in it for markup."""
    return escape(visible(text))
