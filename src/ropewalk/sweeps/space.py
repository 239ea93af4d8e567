"""What is tried: the words of a command line as values and ranges, read as the pipeline's signature says."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ropewalk.errors import Invalid
from ropewalk.pipelines.parameters import ANY, CHOICE, NUMBER, SEVERAL, WHOLE, Parameter

_FIGURE = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"({_FIGURE})\.\.({_FIGURE})((?::[a-z0-9]*)*)")
EVERY = "*"
POINTS_MAX = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """A parameter with the values that it is given, as one types them; one alone stays as it is.

    Attributes:
        name: the parameter.
        values: each once, in the order in which they were typed.
    """

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A parameter that is given numbers between two others, both included.

    Attributes:
        name: the parameter.
        low: the lowest.
        high: the highest.
        log: whether equal ratios are equally far apart, rather than equal differences.
        whole: whether whole numbers are wanted.
        points: how many a grid takes; None for all whole numbers.
    """

    name: str
    low: float
    high: float
    log: bool
    whole: bool
    points: int | None

    def at(self, share: float) -> str:
        """Return the number at a share of the way, 0 to 1, as one types it."""
        if self.whole:
            # Each whole number is as wide as another: 4..8 are five shares, not four.
            low, high = self.low - 0.5, self.high + 0.5
            return str(int(min(self.high, max(self.low, round(_between(max(low, 0.5) if self.log else low, high,
                                                                       share, log=self.log))))))  # fmt: skip
        value = _between(self.low, self.high, share, log=self.log)
        return repr(min(self.high, max(self.low, value)))

    def grid(self) -> tuple[str, ...]:
        """Return the numbers that a grid takes, each once.

        Raises:
            Invalid: nobody said how many.
        """
        if self.points is None and self.whole and not self.log:
            count = int(self.high - self.low) + 1
            if count > POINTS_MAX:
                raise _unreadable(self.name, f"{count:,} whole numbers are too many for a grid", self._counted())
            return tuple(str(int(self.low) + step) for step in range(count))
        if self.points is None:
            raise _unreadable(
                self.name, "a grid takes some points of a range, and nobody said how many", self._counted()
            )
        steps = max(1, self.points - 1)
        found = [_between(self.low, self.high, step / steps, log=self.log) for step in range(self.points)]
        # Twelve digits: 0.1 is not to be typed as 0.09999999999999999.
        texts = [str(round(value)) if self.whole else repr(float(f"{value:.12g}")) for value in found]
        return tuple(dict.fromkeys(texts))

    def _counted(self) -> str:
        log = ":log" if self.log else ""
        return f"{self.name}={_shown(self.low)}..{_shown(self.high)}{log}:5"


Dimension = Values | Range


def read(words: Mapping[str, str], parameters: Sequence[Parameter], target: str) -> tuple[Dimension, ...]:
    """Return what is tried of each parameter that was named, in the order of the signature.

    `4,6,8` are values, `0.01..0.1` is a range, `0.0001..0.1:log` one by ratios, `0.01..0.1:5` one of five points for a
    grid, `*` all choices that there are. Values of a list are separated by `;`, since commas are its own.

    Args:
        words: text by parameter.
        parameters: what the pipeline takes.
        target: how people call the pipeline, for errors.

    Raises:
        Invalid: a parameter is unknown, or its text cannot be read so.
    """
    known = {item.name: item for item in parameters}
    for name in words:
        if name not in known:
            import difflib

            near = difflib.get_close_matches(name, known, 1)
            raise Invalid(
                "argument-unknown",
                f"The pipeline has no argument {name!r}.",
                where=target,
                why=f"it takes {', '.join(known) or 'none'}",
                fix=f"ropewalk sweep {target} {near[0]}=..." if near else f"ropewalk run {target}",
            )
    return tuple(_dimension(item, words[item.name]) for item in parameters if item.name in words)


def _dimension(item: Parameter, text: str) -> Dimension:
    if text == EVERY and item.kind == CHOICE:
        return Values(name=item.name, values=item.choices)
    ranged = _RANGE.fullmatch(text.strip())
    if ranged and item.kind in (WHOLE, NUMBER, ANY):
        return _range(item, *ranged.groups())
    if ".." in text and item.kind in (WHOLE, NUMBER):
        raise _unreadable(item.name, f"found {text[:80]!r}", f"{item.name}=1..9")
    parts = [part.strip() for part in text.split(";" if item.kind == SEVERAL else ",")]
    values = tuple(dict.fromkeys(part for part in parts if part))
    if item.kind == CHOICE and len(values) > 1 and text in item.choices:
        values = (text,)  # a choice whose own name holds a comma
    if not values:
        raise _unreadable(item.name, "it is given no value", f"{item.name}=...")
    return Values(name=item.name, values=values)


def _range(item: Parameter, low: str, high: str, more: str) -> Range:
    whole = item.kind == WHOLE or (item.kind == ANY and _is_whole(low) and _is_whole(high))
    least, most = float(low), float(high)
    words = [word for word in more.split(":") if word]
    points = [int(word) for word in words if word.isdigit()]
    log = "log" in words
    wrong = ""
    if [word for word in words if not word.isdigit() and word != "log"] or len(points) > 1:
        wrong = f"behind a range stand `log` and a number of points, found {more!r}"
    elif not math.isfinite(least) or not math.isfinite(most) or least > most:
        wrong = f"the lower end comes first, found {low}..{high}"
    elif whole and not (_is_whole(low) and _is_whole(high)):
        wrong = f"{item.name} takes whole numbers, found {low}..{high}"
    elif log and least <= 0:
        wrong = f"ratios want numbers above zero, found {low}..{high}"
    elif points and not 1 <= points[0] <= POINTS_MAX:
        wrong = f"a range has 1 to {POINTS_MAX:,} points, found {points[0]}"
    if wrong:
        raise _unreadable(item.name, wrong, f"{item.name}=1..9" if whole else f"{item.name}=0.01..0.1:log")
    return Range(name=item.name, low=least, high=most, log=log, whole=whole, points=points[0] if points else None)


def _is_whole(text: str) -> bool:
    return text.lstrip("+-").isdigit()


def _between(low: float, high: float, share: float, *, log: bool) -> float:
    if share in (0.0, 1.0):
        return high if share else low
    if log:
        return math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
    return low + share * (high - low)


def _shown(value: float) -> str:
    return f"{value:.12g}"


def _unreadable(name: str, why: str, fix: str) -> Invalid:
    return Invalid(
        "sweep-range-unreadable",
        f"What is to be tried of {name!r} cannot be read.",
        where=name,
        why=why,
        fix=f"ropewalk sweep {fix}",
    )
