"""The scheduler in thousands of worlds: whatever dies, sleeps or fails, every run ends and each outcome counts once."""

from __future__ import annotations

import os

import pytest

from ropewalk.pipelines import hold
from ropewalk.pipelines.turns import Turns
from simulated import Broken, World

# Some hundreds in the gate; `make fault` takes ten thousand.
SEEDS = int(os.environ.get("ROPEWALK_SEEDS", "300"))


@pytest.mark.fault
def test_every_world_ends_well():
    ends = {"finished": 0, "failed": 0, "cancelled": 0}
    seen: set[str] = set()

    for seed in range(SEEDS):
        try:
            world = World(seed).walk()
        except Exception as error:
            raise AssertionError(f"seed {seed} is broken") from error
        ends[world.store.rows.state] += 1
        seen.update(str(fact) for entry in world.trace for fact in entry[1:2])

    assert min(ends.values()) > 0, ends
    assert {"dead", "stopped", "continued", "run-lease-lost", "run-cancelled", "commit"} <= seen


def test_a_seed_is_lived_twice_in_the_same_way():
    for seed in range(20):
        assert World(seed).walk().trace == World(seed).walk().trace


class Careless(Turns):
    """A scheduler with a planted fault: it begins again what has run in the walk before its own."""

    def _look_up(self, tx):
        tx.rows_.outcomes.clear()
        super()._look_up(tx)


@pytest.mark.parametrize("fault", ["a holder that was overtaken stores", "what is done is forgotten"])
def test_a_planted_fault_is_found_and_its_seed_replays_exactly(monkeypatch, fault):
    kind = Turns
    if fault.startswith("a holder"):
        monkeypatch.setattr(hold.runs, "check_held", lambda tx, run: None)
    else:
        kind = Careless

    found = [(seed, told) for seed in range(200) if (told := broken(seed, kind))][:3]

    assert found, "no seed found the planted fault"
    for seed, (message, trace) in found:
        assert broken(seed, kind) == (message, trace)


def broken(seed: int, kind: type[Turns]) -> tuple[str, list[tuple[object, ...]]] | None:
    world = World(seed, kind)
    try:
        world.walk()
    except Broken as error:
        return str(error), world.trace
    return None
