"""Which trials a grid or a random search makes: all of them, before anything runs."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Sequence

from ropewalk.errors import Invalid
from ropewalk.sweeps.space import Dimension, Values

TRIALS_MAX = 10_000
_AGAIN_MAX = 20
Args = dict[str, str]


def grid(space: Sequence[Dimension]) -> list[Args]:
    """Return every combination, the last parameter changing fastest.

    Raises:
        Invalid: there are too many, or a range has no number of points.
    """
    columns = [one.values if isinstance(one, Values) else one.grid() for one in space]
    count = math.prod(len(column) for column in columns)
    if count > TRIALS_MAX:
        raise too_many(count)
    names = [one.name for one in space]
    return [dict(zip(names, values, strict=True)) for values in itertools.product(*columns)]


def at_random(space: Sequence[Dimension], count: int, seed: int) -> list[Args]:
    """Return combinations drawn at random, none twice: the same for the same seed, and the first ones for more too.

    Where the space holds fewer, there are fewer.

    Args:
        space: what is tried.
        count: how many.
        seed: of the draw.

    Raises:
        Invalid: there are too many.
    """
    if count > TRIALS_MAX:
        raise too_many(count)
    chance = random.Random(seed)  # noqa: S311 - no secret hangs on it
    found: dict[str, Args] = {}
    for _ in range(count * _AGAIN_MAX):
        # One number for each dimension each time, so that what one draws does not shift the others.
        drawn = {one.name: _drawn(one, chance.random()) for one in space}
        found.setdefault(json.dumps(drawn), drawn)
        if len(found) == count:
            break
    return list(found.values())


def _drawn(one: Dimension, share: float) -> str:
    return one.values[int(share * len(one.values))] if isinstance(one, Values) else one.at(share)


def too_many(count: int) -> Invalid:
    """Return the error for a sweep of more trials than one may have."""
    return Invalid(
        "sweep-too-large",
        "The sweep has too many trials.",
        why=f"it has {count:,}, the limit is {TRIALS_MAX:,}",
        fix="name fewer values, or draw some of them: ropewalk sweep ... --random 100",
    )
