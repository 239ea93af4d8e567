"""What stands for a step's result while a pipeline is recorded."""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any, NoReturn

from ropewalk.errors import Invalid


class Placeholder:
    """Stands for (a part of) what a step will give; other steps take it, nothing else can.

    `placeholder[0]` and `placeholder["name"]` stand for that part, and `a, b = step()` takes two parts.

    Args:
        path: the node's id and the keys that were asked for.
    """

    __slots__ = ("path",)
    __hash__ = object.__hash__

    def __init__(self, path: list[Any]) -> None:
        self.path = path

    def __getitem__(self, key: object) -> Placeholder:
        if not isinstance(key, int | str):
            self._refuse("is asked for a part by something that is neither a number nor a name")
        return Placeholder([*self.path, key])

    def __iter__(self) -> Iterator[Placeholder]:
        count = _unpacked(sys._getframe(1))  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - how many parts are taken stands in the caller's code alone
        if count is None:
            self._refuse("is looped over")
        return iter([self[position] for position in range(count)])

    def __repr__(self) -> str:
        return f"<what the step {self.path[0]} will give>"

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        self._refuse(f"is asked for .{name}")

    def __bool__(self) -> bool:  # noqa: PLE0304 - there is no truth yet
        self._refuse("is used in a condition")

    def __len__(self) -> int:  # noqa: PLE0303 - there is no length yet
        self._refuse("is asked for its length")

    def __call__(self, *_: object, **__: object) -> NoReturn:  # noqa: D102 - as the language has it
        self._refuse("is called")

    def __eq__(self, _: object) -> bool:
        self._refuse("is compared")

    def _operator(self, _: object) -> NoReturn:
        self._refuse("is reckoned with")

    __lt__ = __le__ = __gt__ = __ge__ = __contains__ = _operator
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _operator
    __floordiv__ = __mod__ = __pow__ = __and__ = __or__ = __matmul__ = _operator

    def _refuse(self, how: str) -> NoReturn:
        frame = sys._getframe(2)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - the user's line
        raise Invalid(
            "placeholder-used",
            f"The result of the step {self.path[0]} {how} in the pipeline's body.",
            where=f"{frame.f_code.co_filename}:{frame.f_lineno}",
            why="the graph is recorded before any step has run, so the result is not there yet",
            fix="move that line into a step of its own",
        )


def _unpacked(frame: FrameType) -> int | None:
    """Return how many names a line such as `a, b = step()` unpacks into, or None when it is no such line."""
    for item in dis.get_instructions(frame.f_code):
        if item.offset == frame.f_lasti:
            return int(item.arg or 0) if item.opname == "UNPACK_SEQUENCE" else None
    return None
