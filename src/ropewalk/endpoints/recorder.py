"""A recorder writes a finished batch down and counts it, before any of its answers leaves."""

from __future__ import annotations

from typing import Any

from ropewalk.clock import Clock
from ropewalk.endpoints.capture import Capture
from ropewalk.endpoints.items import Columns, Item
from ropewalk.endpoints.journal import TRACE
from ropewalk.endpoints.meters import Meters


class Recorder:
    """What a lane calls with each finished batch.

    Args:
        endpoint: its name.
        release: whose lane it is.
        capture: where predictions are written down, or None.
        meters: where they are counted.
        clock: the time.
    """

    def __init__(self, endpoint: str, release: str, *, capture: Capture | None, meters: Meters, clock: Clock) -> None:
        self._endpoint = endpoint
        self._release = release
        self._capture = capture
        self._meters = meters
        self._clock = clock

    def __call__(self, items: list[Item], columns: Columns, outputs: Columns, status: list[str], error: str) -> None:
        """Write a batch down and count it.

        Args:
            items: what was asked, in order.
            columns: inputs, one value per row.
            outputs: answers, one value per row; empty where the batch failed.
            status: one word per row.
            error: why the batch failed, or an empty text.

        Raises:
            OSError: the disk refused it.
        """
        now = self._clock.monotonic()
        roles = [item.role for item in items for _ in item.ids]
        took = [int((now - item.begun) * 1_000_000) for item in items for _ in item.ids]
        ids = [one for item in items for one in item.ids]
        traces = [item.trace for item in items for _ in item.ids] if any(item.trace for item in items) else []
        if self._capture is not None:
            frame: dict[str, Any] = {
                "id": ids,
                "at_us": [item.at_us for item in items for _ in item.ids],
                "event_us": [one for item in items for one in item.event_us],
                "endpoint": self._endpoint,
                "release": self._release,
                "role": roles,
                "pair": [one for item in items for one in (item.pairs or [None] * len(item.ids))],
                "key": [one for item in items for one in item.keys],
                "status": status,
                "error": error,
                "latency_us": took,
                "generation": [item.generation for item in items for _ in item.ids],
                "warnings": [one for item in items for one in item.warnings],
                **({TRACE: traces} if traces else {}),
                "in": columns,
                "out": outputs,
            }
            self._capture.write(self._endpoint, frame, len(status))
        self._meters.batch(self._endpoint, self._release, roles, status=status, latency_us=took, ids=ids, traces=traces)
