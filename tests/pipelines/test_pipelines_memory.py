"""What a large run holds in the scheduler's memory: little for each step, less for an item of a map."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ropewalk.compute.pool import ONE, Answer, Ending, Job, Needs
from ropewalk.pipelines.calls import nodes_of, told_calls
from ropewalk.pipelines.graph import Code, Graph, Node
from ropewalk.pipelines.trees import digest_of_tree
from ropewalk.pipelines.turns import Turns
from ropewalk.testing.fakes import SetClock

CODE = "sha256:" + "c" * 64
FEW, MANY = 300, 1_500
LARGE = 200  # numbers in what a step gives


class Forgetful:
    """A store that writes nothing down and knows nothing."""

    def write(self, work: Any) -> Any:
        return work(self)

    def version(self) -> int:
        return 0

    def get(self, _kind: type, query: str, **_: Any) -> Any:
        return SimpleNamespace(fence=1, state="running") if query == "runs.get" else None

    def all(self, *_: Any, **__: Any) -> list[Any]:
        return []

    def run(self, _query: str, **_: Any) -> int:
        return 1


class Prompt:
    """A pool of one worker that has done everything at once."""

    def __init__(self, value: Any) -> None:
        self._text = json.dumps(value)
        self._ended: list[Ending] = []

    def free(self, needs: Needs = ONE) -> int:
        del needs
        return 1 - len(self._ended)

    def submit(self, job: Job) -> None:
        told: dict[str, Any] = {"entries": [], "frames": [], "read": []}
        items: Any = job.message.get("items")
        if items is None:
            value = json.loads(self._text)  # another one each time, as it comes out of a socket
            told |= {"tree": value, "digest": digest_of_tree(value)}
        else:
            told |= {"trees": [item + 1 for item in items], "failed": None}
        self._ended.append(Answer(job=job.id, message={"ok": told}))

    def wait(self, seconds: float | None) -> list[Ending]:
        del seconds
        ended, self._ended = self._ended, []
        return ended


def node(name: str, inputs: dict[str, Any], over: str = "") -> Node:
    return Node(
        id=name, step="pipeline:more", where="pipeline.py:3", inputs=inputs, code=CODE, retries=0, timeout_seconds=None,
        backoff_seconds=0.5, cache=True, over=over,
    )  # fmt: skip


def peak_of(nodes: list[Node], value: Any) -> int:
    """Return the bytes that a walk takes at most, from the message that tells its graph to its end."""
    message = json.dumps(told_calls(nodes))
    nodes.clear()
    blobs = SimpleNamespace(put=digest_of_bytes, has=lambda _: True)
    clock = SetClock()
    site: Any = SimpleNamespace(
        root=Path("/nowhere"), hidden=Path("/nowhere/.ropewalk"), db=Forgetful(), blobs=blobs, clock=clock, actor="ann",
        record=lambda *_: None,
    )  # fmt: skip
    run: Any = SimpleNamespace(id="run", fence=1, subject="run", name="run", pipeline="p")
    tracemalloc.start()
    try:
        graph = Graph(
            pipeline="p.py:p", args="{}", nodes=nodes_of(json.loads(message)), entries=(),
            codes={CODE: Code(digest=CODE, parts={}, reads=())},
        )  # fmt: skip
        graph.whole()
        opened: Any = SimpleNamespace(graph=graph, pool=Prompt(value), project={})
        Turns(site, opened, run, lambda _: None, timer=clock.monotonic).walk()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def digest_of_bytes(data: bytes) -> str:
    return f"sha256:{hash(data) & (1 << 256) - 1:064x}"


def growth(make: Any, value: Any, few: int, many: int) -> float:
    """Return the bytes that each further step takes."""
    peak_of(make(few), value)  # what is filled once, such as tables of names
    return (peak_of(make(many), value) - peak_of(make(few), value)) / (many - few)


def loop(count: int) -> list[Node]:
    return [node(f"more-{place}", {"number": place}) for place in range(count)]


def chain(count: int) -> list[Node]:
    return [
        node(f"more-{place}", {"number": {"$ref": [f"more-{place - 1}"]} if place else 0}) for place in range(count)
    ]


def test_each_step_of_a_loop_costs_its_call_and_no_more():
    assert growth(loop, 1, FEW, MANY) < 1_000


def test_a_value_is_held_for_as_long_as_a_step_waits_for_it():
    value = [number / 7 for number in range(LARGE)]  # 6 kB; held to the end it would be most of the growth

    assert growth(chain, value, 50, FEW) < 2_500


def test_an_item_of_a_map_costs_less_than_a_step():
    assert growth(lambda count: [node("more", {"number": list(range(count))}, over="number")], 1, FEW, 6_000) < 300
