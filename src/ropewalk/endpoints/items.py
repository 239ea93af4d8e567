"""Items: rows of one request on their way through a lane, and what comes back for them."""

from __future__ import annotations

import asyncio
from math import isfinite
from typing import Any

from ropewalk.endpoints.problems import Receive
from ropewalk.errors import RopewalkError, Unavailable

OK, ERROR, INVALID, TIMEOUT = "ok", "error", "invalid_output", "timeout"
Columns = dict[str, list[Any]]


class Item:
    """Some rows of one request on their way through one lane; `answer` gets the outputs of exactly these rows.

    Not a record: it lives for one request and is made once per request on the hot path.
    """

    __slots__ = (
        "alone",
        "answer",
        "at_us",
        "begun",
        "columns",
        "deadline",
        "event_us",
        "generation",
        "ids",
        "keys",
        "pairs",
        "receive",
        "role",
        "trace",
        "warnings",
    )

    def __init__(
        self,
        *,
        ids: list[str],
        columns: Columns,
        role: str,
        generation: int,
        at_us: int,
        event_us: list[int],
        keys: list[str | None],
        warnings: list[int],
        begun: float,
        deadline: float,
        answer: asyncio.Future[Outcome],
        pairs: list[str] | None = None,
        receive: Receive | None = None,
        trace: str = "",
    ) -> None:
        self.alone = False  # set when a batch with it failed: it then goes by itself, so that it harms nobody else
        self.ids = ids
        self.columns = columns
        self.role = role
        self.generation = generation
        self.at_us = at_us
        self.event_us = event_us
        self.keys = keys
        self.warnings = warnings
        self.begun = begun
        self.deadline = deadline
        self.answer = answer
        self.pairs = pairs
        self.receive = receive
        self.trace = trace


class Outcome:
    """What a lane answers for an item: columns of outputs, or an error; `status` has one word per row."""

    __slots__ = ("error", "outputs", "status")

    def __init__(self, outputs: Columns, status: list[str], error: RopewalkError | None = None) -> None:
        self.outputs = outputs
        self.status = status
        self.error = error


def statuses(outputs: Columns, rows: int) -> list[str]:
    """Return one word per row: `invalid_output` where a number is not finite or a probability not in 0 to 1."""
    status = [OK] * rows
    for name, values in outputs.items():
        if not isinstance(values[0], float):
            continue
        low, high = (0.0, 1.0) if name == "probability" or name.startswith("probability.") else (None, None)
        total = sum(values)
        if isfinite(total) and (low is None or (min(values) >= low and max(values) <= high)):
            continue
        for at, value in enumerate(values):
            if not isfinite(value) or (low is not None and not low <= value <= high):
                status[at] = INVALID
    return status


def is_gone(receive: Receive | None) -> bool:
    """Say whether the client has left, without waiting: ASGI's `receive` is driven one step by hand."""
    if receive is None:
        return False
    step = receive()
    try:
        step.send(None)  # type: ignore[attr-defined]
    except StopIteration as found:
        return found.value["type"] == "http.disconnect"
    step.close()  # type: ignore[attr-defined]
    return False


def too_late() -> Unavailable:
    """Return the error of a request whose deadline passed."""
    return Unavailable("deadline-passed", "The model did not answer in time.", fix="send it again, with fewer rows")


def not_captured(error: OSError) -> Unavailable:
    """Return the error of a prediction that could not be written down, and therefore is not answered."""
    return Unavailable(
        "capture-not-written",
        "The prediction could not be recorded, so it is not answered.",
        why=error.strerror or str(error),
        fix="free space or mend the disk",
    )
