"""The steps of a run as the console shows them: the graph's calls with what has become of each, running or over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from ropewalk.console.grouped import Call
from ropewalk.console.words import span
from ropewalk.errors import NotFound
from ropewalk.house import House
from ropewalk.pipelines import kept, outcomes
from ropewalk.pipelines.graph import Node
from ropewalk.pipelines.kept import Tried
from ropewalk.pipelines.maps import MapRow
from ropewalk.pipelines.outcomes import StepRecord
from ropewalk.runs.states import RUNNING, Run
from ropewalk.store.database import Reader

RAN, HIT, GOING, AGAIN, QUEUED, WAITING = "ran", "hit", "running", "retrying", "queued", "waiting"
FAILED, SKIPPED, INTERRUPTED, UNREACHED = "failed", "skipped", "interrupted", "not reached"
# In the order in which people want to hear of them.
STATES = (FAILED, INTERRUPTED, GOING, AGAIN, QUEUED, WAITING, RAN, HIT, SKIPPED, UNREACHED)
SIGNS = {
    RAN: "✓",
    HIT: "↺",
    GOING: "▶",
    AGAIN: "⟳",
    QUEUED: "…",
    WAITING: "○",
    FAILED: "✕",
    SKIPPED: "»",
    INTERRUPTED: "‖",
    UNREACHED: "·",
}
OVER = frozenset({RAN, HIT, FAILED, SKIPPED, INTERRUPTED, UNREACHED})
_WORDS = {
    outcomes.DONE: RAN, outcomes.CACHED: HIT, outcomes.RUNNING: GOING, outcomes.WAITING: AGAIN,
    outcomes.FAILED: FAILED, outcomes.SKIPPED: SKIPPED, outcomes.INTERRUPTED: INTERRUPTED,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a run.

    Attributes:
        node: its id.
        name: of its function.
        state: one of `STATES`.
        needs: ids of the nodes that it waits for.
        ready_us: when all of them had ended, microseconds since the epoch; None while they have not.
        record: what the run did with it, None where it has not come to it.
        call: its call in the graph, None for a run that kept none.
        tried: attempts that failed before, in time.
        items: how many items of a map have a result, and how many there are; None for an ordinary call.
    """

    node: str
    name: str
    state: str
    needs: tuple[str, ...] = ()
    ready_us: int | None = None
    record: StepRecord | None = None
    call: Node | None = None
    tried: tuple[Tried, ...] = ()
    items: tuple[int, int] | None = None

    @property
    def sign(self) -> str:
        """The sign that stands for its state."""
        return SIGNS[self.state]

    @property
    def css(self) -> str:
        """The state as a class of our style sheets."""
        return self.state.replace(" ", "-")

    @property
    def started_us(self) -> int | None:
        """When it, or its last attempt, began; None where no code of it ran."""
        return self.record.started_us if self.record and self.state not in (SKIPPED, HIT) else None

    def ended_us(self, now_us: int) -> int | None:
        """Return when it ended, or the time while it runs; None where no code of it ran."""
        if self.started_us is None or self.record is None:
            return None
        return now_us if self.state == GOING else self.record.ended_us

    def took(self, now_us: int) -> str:
        """Return how long it took, or has taken, as people say it; empty where no code of it ran."""
        return span(self.started_us, self.ended_us(now_us))

    def address(self, run: str, place: str = "steps") -> str:
        """Return the address of its page, or of its log."""
        return f"/runs/{run}/{place}/{quote(self.node, safe='')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Walked:
    """A run with its steps.

    Attributes:
        run: the run.
        steps: in the order they were recorded.
        now_us: the time of the look, microseconds since the epoch.
        whole: whether the graph is known, and not only what was done.
    """

    run: Run
    steps: tuple[Step, ...]
    now_us: int
    whole: bool
    places: Mapping[str, int] = field(default_factory=dict[str, int])

    def step(self, node: str) -> Step | None:
        """Return a step by its node, or None."""
        place = self.places.get(node)
        return None if place is None else self.steps[place]

    def calls(self) -> tuple[Call, ...]:
        """Return what a drawing needs to know."""
        return tuple(Call(id=step.node, name=step.name, needs=step.needs) for step in self.steps)

    def counts(self) -> list[tuple[str, int]]:
        """Return states and how many steps are in each, the worst first."""
        counted = Counter(step.state for step in self.steps)
        return [(state, counted[state]) for state in STATES if counted[state]]


def of_run(house: House, rows: Reader, run: Run) -> Walked | None:
    """Return a run's steps; None for a run that has no graph, such as a script's or a client's."""
    going = run.state == RUNNING
    records = outcomes.steps_of(rows, run.id, running=going)
    try:
        nodes = kept.nodes_of(rows, house.site.blobs, run.id)
    except NotFound:
        nodes = ()
    if not records and not nodes:
        return None
    by_node = {record.node: record for record in records}
    maps = {row.node: row for row in rows.all(MapRow, "pipelines.maps_of_run", run_id=run.id)}
    tried: dict[str, list[Tried]] = {}
    for one in kept.tried(rows, run.id):
        tried.setdefault(one.node, []).append(one)
    names = [node.id for node in nodes] or [record.node for record in records]
    calls = {node.id: node for node in nodes}
    steps: list[Step] = []
    ended: dict[str, int | None] = {}
    for name in names:
        call, record, row = calls.get(name), by_node.get(name), maps.get(name)
        needs = call.needs() if call else ()
        ready_us = _ready(run, needs, ended)
        ended[name] = record.ended_us if record and record.state in (outcomes.DONE, outcomes.CACHED) else None
        step = call.step if call else record.step if record else name
        steps.append(
            Step(
                node=name,
                name=step.rpartition(":")[2].rpartition(".")[2],
                state=_state(record, going=going, ready=ready_us is not None),
                needs=needs,
                ready_us=ready_us,
                record=record,
                call=call,
                tried=tuple(tried.get(name, ())),
                items=(row.places(), row.total) if row else None,
            )
        )
    places = {step.node: place for place, step in enumerate(steps)}
    return Walked(run=run, steps=tuple(steps), now_us=house.site.clock.now_us(), whole=bool(nodes), places=places)


def begun(rows: Reader, run: Run, node: str) -> Step | None:
    """Return a step that a run has come to, as its row alone tells it; None where others have to be asked too."""
    going = run.state == RUNNING
    record = outcomes.step_of(rows, run.id, node, running=going)
    if record is None or (going and record.state == outcomes.INTERRUPTED):
        return None
    name = record.step.rpartition(":")[2].rpartition(".")[2]
    return Step(node=node, name=name, state=_state(record, going=going, ready=False), record=record)


def _ready(run: Run, needs: tuple[str, ...], ended: Mapping[str, int | None]) -> int | None:
    """Return when everything that a step needs had ended."""
    found = [ended.get(one) for one in needs]
    known = [at_us for at_us in found if at_us is not None]
    return max([run.started_us, *known]) if len(known) == len(found) else None


def _state(record: StepRecord | None, *, going: bool, ready: bool) -> str:
    """Return the word for a step: one that an interrupted run was at is in line again once the run goes on."""
    if record is None or (going and record.state == outcomes.INTERRUPTED):
        return (QUEUED if ready else WAITING) if going else UNREACHED
    return _WORDS[record.state]
