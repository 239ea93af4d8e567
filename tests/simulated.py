"""A world in which the real scheduler walks: clock, chance, store, pool and deaths are made of one seed."""

from __future__ import annotations

import copy
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ropewalk.compute.pool import ONE, Answer, Ending, Job, Lost, Needs
from ropewalk.errors import Interrupted, RopewalkError
from ropewalk.pipelines.graph import Code, Graph, Node
from ropewalk.pipelines.outcomes import Outcome
from ropewalk.pipelines.trees import digest_of_tree
from ropewalk.pipelines.turns import Turns
from ropewalk.testing.fakes import SetClock

CODE = "sha256:" + "c" * 64
RUN = "run"
TURNS_MAX = 2_000
OVER = ("finished", "failed", "cancelled")


class Death(BaseException):
    """The process is gone at this moment; nobody catches it."""


class Broken(AssertionError):
    """What must hold did not."""


@dataclass
class Rows:
    """What is durable."""

    fence: int = 1
    state: str = "running"
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    maps: dict[str, dict[str, Any]] = field(default_factory=dict)
    done: list[tuple[int, str]] = field(default_factory=list)


class View:
    """A transaction: the named queries that the scheduler asks, over the rows of the world."""

    def __init__(self, rows: Rows) -> None:
        self.rows_ = rows

    def get(self, kind: type, query: str, **values: Any) -> Any:
        if query == "runs.get":
            rows = self.rows_
            return SimpleNamespace(fence=rows.fence, state=rows.state, name=RUN, error="", subject=RUN, pipeline="p")
        if query == "pipelines.outcome":
            return self.rows_.outcomes.get(values["key"])
        assert query == "pipelines.last_of_node", query
        return None

    def all(self, kind: type, query: str, **values: Any) -> list[Any]:
        assert query == "pipelines.maps_of_base", query
        return [kind(**row) for row in self.rows_.maps.values() if row["base"] == values["base"]]

    def run(self, query: str, **values: Any) -> int:
        rows = self.rows_
        if query == "pipelines.keep_outcome":
            fresh = values["key"] not in rows.outcomes
            if fresh:
                rows.outcomes[values["key"]] = Outcome(**values)
            return int(fresh)
        if query in ("pipelines.keep_step", "pipelines.keep_map"):
            table, name = (rows.steps, values["node"]) if query.endswith("step") else (rows.maps, values["node"])
            before = table.get(name)
            if before and (before["fence"] > values["fence"] or before.get("state") in ("done", "cached")):
                return 0
            table[name] = values
            return 1
        if query == "runs.renew":
            return int(values["fence"] == rows.fence and rows.state == "running")
        assert query in ("pipelines.keep_log", "pipelines.keep_attempt"), query
        return 1


class Store:
    """Commits whole transactions or nothing; a holder may die before or after, or sleep while another takes over."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.rows = Rows()
        self.commits = 0

    def write(self, work: Callable[[Any], Any]) -> Any:
        world = self._world
        world.disturb()
        if world.dies():
            raise Death
        rows = copy.copy(self.rows)
        for name in ("outcomes", "steps", "maps", "done"):
            setattr(rows, name, copy.copy(getattr(self.rows, name)))
        result = work(View(rows))
        self.rows = rows
        self.commits += 1
        world.note("commit", rows.fence, len(rows.done))
        if world.dies():
            raise Death
        return result

    def version(self) -> int:
        return self.commits


class Blobs:
    """Keeps what is large in memory."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def put(self, data: bytes) -> str:
        from ropewalk.refs import digest_of

        digest = digest_of(data)
        self._kept[digest] = data
        return digest

    def get(self, digest: str) -> bytes:
        return self._kept[digest]

    def has(self, digest: str) -> bool:
        return digest in self._kept


class SimulatedPool:
    """Two workers whose jobs take what chance says, and end as it says."""

    def __init__(self, world: World, fence: int) -> None:
        self._world = world
        self._fence = fence
        self._jobs: dict[str, tuple[float, Job, Ending]] = {}

    def free(self, needs: Needs = ONE) -> int:
        taken = sum(min(job.needs.cpu, 2) for _, job, _ in self._jobs.values())
        return min(2 - len(self._jobs), int((2 - taken) / max(min(needs.cpu, 2), 0.001)))

    def submit(self, job: Job) -> None:
        if self.free(job.needs) <= 0:
            raise Broken(f"{job.id} has no room")
        world, chance = self._world, self._world.chance
        node = world.graph.node(str(job.message["node"]))
        assert node is not None
        if (self._fence, node.id) in world.store.rows.done or any(name == node.id for _, name in world.store.rows.done):
            raise Broken(f"{node.id} is done and begins again")
        missing = [name for name in node.needs() if name not in {done for _, done in world.store.rows.done}]
        if missing:
            raise Broken(f"{node.id} begins before {missing}")
        world.ran[node.id] += 1
        took = chance.expovariate(1.0)
        ending: Ending = Answer(job=job.id, message=self._answer(node, job))
        fate = chance.random()
        if fate < world.fails:
            ending = Lost(job=job.id, why="died", status=-9)
        elif fate < 2 * world.fails:
            ending = Answer(job=job.id, message={"error": {"type": "E", "message": "by chance", "frames": []}})
        if job.timeout_seconds is not None and took > job.timeout_seconds:
            took, ending = job.timeout_seconds, Lost(job=job.id, why="timeout", status=-9)
        self._jobs[job.id] = (world.clock.monotonic() + took, job, ending)

    def _answer(self, node: Node, job: Job) -> dict[str, Any]:
        plain: dict[str, Any] = {"entries": [], "frames": [], "read": []}
        inputs: dict[str, Any] = dict(job.message["inputs"])  # pyright: ignore[reportArgumentType] - JSON
        if node.over:
            items: list[Any] = job.message["items"]  # pyright: ignore[reportAssignmentType] - JSON
            return {"ok": {"trees": [result(node, inputs, item) for item in items], "failed": None, **plain}}
        tree = result(node, inputs)
        return {"ok": {"tree": tree, "digest": digest_of_tree(tree), **plain}}

    def wait(self, seconds: float | None) -> list[Ending]:
        clock = self._world.clock
        soonest = min((at for at, _, _ in self._jobs.values()), default=float("inf"))
        until = clock.monotonic() + (seconds if seconds is not None else 1e9)
        late = self._world.chance.choice([0.0, 0.0, 1.0])  # what ends meanwhile is told together
        clock.advance(max(0.0, min(soonest + late, until) - clock.monotonic()))
        self._world.turns += 1
        if self._world.turns > TURNS_MAX:
            raise Broken("the run never ends")
        ended = [(at, name) for name, (at, _, _) in self._jobs.items() if at <= clock.monotonic() + 1e-9]
        return [self._jobs.pop(name)[2] for _, name in sorted(ended)]


def result(node: Node, inputs: dict[str, Any], item: Any = None) -> Any:
    """Return what a node gives: a number that tells of all its inputs."""
    return [hash_of(node.id, inputs, item)] if node.id.startswith("list") else hash_of(node.id, inputs, item)


def hash_of(*parts: Any) -> int:
    return int(digest_of_tree([str(part) if not isinstance(part, dict | list) else part for part in parts])[7:15], 16)


class World:
    """One seed's world; `walk` lives through it and raises what is broken.

    Args:
        seed: of everything that is by chance.
        turns: the scheduler, for worlds with a planted fault.
    """

    def __init__(self, seed: int, turns: type[Turns] = Turns) -> None:
        self.chance = random.Random(seed)
        self.clock = SetClock()
        self.store = Store(self)
        self.trace: list[tuple[Any, ...]] = []
        self.ran: Counter[str] = Counter()
        self.turns = 0
        self._kind = turns
        self._asleep = 0
        self.deadly = self.chance.choice([0.0, 0.0, 0.02, 0.1])
        self.fails = self.chance.choice([0.0, 0.05, 0.2])
        self._steals = self.chance.choice([0.0, 0.02, 0.1])
        self._cancels = self.chance.choice([0.0, 0.0, 0.0, 0.02])
        self.graph = self._graph()
        self._site: Any = SimpleNamespace(
            root=Path("/nowhere"), hidden=Path("/nowhere/.ropewalk"), db=self.store, blobs=Blobs(), clock=self.clock,
            actor="ann", record=self._record,
        )  # fmt: skip

    def note(self, *facts: Any) -> None:
        """Write down what happened, with the time."""
        self.trace.append((round(self.clock.monotonic(), 9), *facts))

    def _record(self, tx: Any, kind: str, subject: str, body: dict[str, Any]) -> None:
        assert kind == "step.done"
        if any(name == body["node"] for _, name in tx.rows_.done):
            raise Broken(f"{body['node']} is done twice")
        tx.rows_.done.append((self._holder, body["node"]))
        if self._holder != tx.rows_.fence or tx.rows_.state != "running":
            raise Broken(f"holder {self._holder} stored while the run was at {tx.rows_.fence} {tx.rows_.state}")

    def _graph(self) -> Graph:
        chance, nodes = self.chance, list[Node]()
        for number in range(chance.randint(1, 7)):
            before = [node for node in nodes if chance.random() < 0.4]
            over = chance.random() < 0.2
            inputs: dict[str, Any] = {"a": [{"$ref": [node.id]} for node in before], "k": number}
            if over:
                inputs["item"] = list(range(chance.randint(0, 12)))
            nodes.append(
                Node(
                    id=f"n{number}", step=f"m:n{number}", where="p.py:1", inputs=inputs, code=CODE,
                    retries=chance.randint(0, 2), timeout_seconds=chance.choice([None, None, 2.0]),
                    backoff_seconds=0.5, cache=chance.random() < 0.9, over="item" if over else "",
                    cpu=chance.choice([1.0, 1.0, 2.0, 9.0]), priority=chance.randint(0, 2),
                )
            )  # fmt: skip
        return Graph(
            pipeline="p.py:p",
            args="{}",
            nodes=tuple(nodes),
            entries=(),
            codes={CODE: Code(digest=CODE, parts={}, reads=())},
        )

    def dies(self) -> bool:
        """Say whether the holder is killed now."""
        return self.chance.random() < self.deadly

    def disturb(self) -> None:
        """Let something happen while the holder sleeps: another one takes the run over, or somebody cancels it."""
        rows = self.store.rows
        if rows.state != "running" or self._asleep:
            return
        if self.chance.random() < self._cancels:
            rows.state = "cancelled"
            self.note("cancelled")
        elif self.chance.random() < self._steals:
            self._asleep += 1
            mine = self._holder
            self.note("stopped", mine)
            self.clock.advance(60)
            rows.fence += 1
            self._live(rows.fence)
            self._holder = mine
            self.note("continued", mine)
            self._asleep -= 1

    def _live(self, fence: int) -> None:
        """Let one process hold the run until it ends, dies or is overtaken."""
        self._holder = fence
        run: Any = SimpleNamespace(id=RUN, fence=fence, subject=RUN, name=RUN, pipeline="p")
        pool = SimulatedPool(self, fence)
        opened: Any = SimpleNamespace(graph=self.graph, pool=pool, project={})
        turns = self._kind(
            self._site, opened, run, lambda told: self.note(told.node, told.state), timer=self.clock.monotonic,
            chance=self.chance,
        )  # fmt: skip
        try:
            turns.walk()
            self._end(fence, "finished")
        except Death:
            self.note("dead", fence)
        except Interrupted as error:
            self.note(error.code, fence)
        except RopewalkError as error:
            self.note("failed", fence, error.code)
            self._end(fence, "failed")

    def _end(self, fence: int, state: str) -> None:
        if self.store.rows.fence == fence and self.store.rows.state == "running":
            self.store.rows.state = state

    def walk(self) -> World:
        """Live until the run is over; each that dies is followed by another that resumes."""
        holders = 0
        while self.store.rows.state not in OVER:
            holders += 1
            if holders > 60:
                self.deadly = 0.0  # the world is never so unkind for ever
            if holders > 1:
                self.store.rows.fence += 1
            self._live(self.store.rows.fence)
        self._judge()
        return self

    def _judge(self) -> None:
        rows, done = self.store.rows, Counter(name for _, name in self.store.rows.done)
        cached = {name for name, row in rows.steps.items() if row["state"] == "cached"}
        if rows.state == "finished" and {*done, *cached} != {node.id for node in self.graph.nodes}:
            raise Broken("a finished run lacks outcomes")
        wrong = [
            name for name, count in done.items() if count != 1 or rows.steps[name]["state"] not in ("done", "cached")
        ]
        if wrong:
            raise Broken(f"{wrong} are done, and their rows say otherwise")
