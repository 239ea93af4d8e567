"""What the console draws of a run's graph: boxes with state, sign and time, and the lines between them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ropewalk.console.grouped import Box, picture
from ropewalk.console.layered import HIGH, WIDE
from ropewalk.console.steps import AGAIN, GOING, SIGNS, STATES, Step, Walked
from ropewalk.console.words import span

LETTERS = 19


def of_walk(walked: Walked) -> dict[str, Any] | None:
    """Return boxes and lines of a run; None for a run that kept no graph."""
    if not walked.whole:
        return None
    found = picture(walked.calls())
    boxes = [_box(walked, number, box, found.drawn.places[box.key]) for number, box in enumerate(found.boxes)]
    lit = {box["key"] for box in boxes if box["state"] in (GOING, AGAIN)}
    many = f"{len(walked.steps):,} steps" + (f" in {len(boxes)} groups" if found.grouped else "")
    return {
        "width": found.drawn.width,
        "height": found.drawn.height,
        "wide": WIDE,
        "high": HIGH,
        "boxes": boxes,
        "lines": [(path, after in lit) for _, after, path in found.drawn.lines],
        "grouped": found.grouped,
        "told": f"Graph of {many}: " + ", ".join(f"{count:,} {state}" for state, count in walked.counts()),
    }


def _box(walked: Walked, number: int, box: Box, place: tuple[float, float]) -> dict[str, Any]:
    steps = [step for name in box.steps if (step := walked.step(name)) is not None]
    own = _of_one(walked, steps[0]) if len(steps) == 1 else _of_many(walked, number, steps)
    title = box.title if len(steps) == 1 else f"{box.title} ({len(steps):,})"
    cut = title if len(title) <= LETTERS else f"{title[: LETTERS - 1]}…"
    return {
        "key": box.key, "x": place[0], "y": place[1], "title": cut, "whole": title, "stack": len(steps) > 1,
        "sign": SIGNS[own["state"]], "css": own["state"].replace(" ", "-"), **own,
    }  # fmt: skip


def _of_one(walked: Walked, step: Step) -> dict[str, Any]:
    took = step.took(walked.now_us)
    items = f"{step.items[0]:,} of {step.items[1]:,}" if step.items else ""
    again = f"attempt {step.record.attempt}" if step.record and step.record.attempt > 1 else ""
    return {
        "state": step.state,
        "said": " · ".join(word for word in (step.state, items, took, again) if word),
        "more": "",
        "done": step.items[0] / max(1, step.items[1]) if step.items else 0.0,
        "address": step.address(walked.run.id),
    }


def _of_many(walked: Walked, number: int, steps: list[Step]) -> dict[str, Any]:
    """Return what a group says: the worst of its states, how many are in each, and the time of all together."""
    counted = Counter(step.state for step in steps)
    states = [state for state in STATES if counted[state]]
    times = [(step.started_us, step.ended_us(walked.now_us)) for step in steps]
    worked_us = sum(ended - began for began, ended in times if began is not None and ended is not None)
    over = sum(step.state in ("ran", "hit") for step in steps)
    listed = [f"{counted[state]:,} {state}" for state in states]
    return {
        "state": states[0],
        "said": " · ".join([*listed[:2], *([f"+{len(listed) - 2}"] if len(listed) > 2 else [])]),  # noqa: PLR2004 - there is room for two
        "more": f"{', '.join(listed)}; {span(1, 1 + worked_us)} of work" if worked_us else ", ".join(listed),
        "done": over / len(steps) if over < len(steps) else 0.0,
        "address": f"/runs/{walked.run.id}/steps?box={number}",
    }
