"""The maps of one run while it walks: parts handed to workers, results stored, one outcome at the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ropewalk.compute.pool import Answer, Ending
from ropewalk.pipelines import logs, outcomes
from ropewalk.pipelines.attempts import Begun, Ended
from ropewalk.pipelines.graph import Node
from ropewalk.pipelines.maps import MapWalk
from ropewalk.pipelines.outcomes import Outcome
from ropewalk.records import replace
from ropewalk.refs import canonical
from ropewalk.runs.run import Run
from ropewalk.site import Site
from ropewalk.store.database import Transaction

WORKERS = 8  # among how many a map's items are shared at first


class Mappings:
    """Every map that a run has begun.

    Args:
        site: the project.
        run: the run.
    """

    def __init__(self, site: Site, run: Run) -> None:
        self._site = site
        self._run = run
        self._walks: dict[str, MapWalk] = {}
        self._begun: dict[str, Begun] = {}
        self._attempts: dict[tuple[str, int], int] = {}
        self._entries: dict[str, list[Any]] = {}
        self._frames: dict[str, list[Any]] = {}
        self._faulty: set[str] = set()

    def begin(self, tx: Transaction, begun: Begun) -> None:
        """Begin a map: what earlier walks kept of it is taken."""
        walk = MapWalk(begun.node, begun.keyed, self._site.blobs)
        walk.reuse(tx)
        self._walks[begun.node.id] = walk
        self._begun[begun.node.id] = begun
        self._write(tx, walk)

    def has(self, node: Node) -> bool:
        """Say whether a map has begun and lacks results."""
        return node.id in self._walks

    def waiting(self) -> list[Node]:
        """Return the maps that have items which no worker has."""
        return [walk.node for walk in self._walks.values() if walk.waiting]

    def next(self, node: Node, now_us: int) -> Begun | None:
        """Return the next part of a map, or None."""
        places = self._walks[node.id].next(WORKERS)
        return replace(self._begun[node.id], places=places, started_us=now_us) if places else None

    def message(self, begun: Begun) -> Mapping[str, object]:
        """Return what a worker needs to run a part."""
        return self._walks[begun.node.id].message(begun.places)

    def told(self, node: Node) -> str:
        """Return how far a map has come, for people."""
        walk = self._walks[node.id]
        return f"{walk.finished} of {len(walk.items)} items"

    def ended(self, ended: Ended, ending: Ending, log: Path, running: Iterable[Begun]) -> Ended:
        """Keep the results of a part among the blobs; items that did not run go back.

        Args:
            ended: the part.
            ending: how the pool says it ended.
            log: into which all parts print; kept once an end is near and nobody prints into it.
            running: what runs still, of whatever node.
        """
        begun, walk = ended.begun, self._walks[ended.begun.node.id]
        told: dict[str, Any] = {}
        if isinstance(ending, Answer) and "ok" in ending.message and (ended.failure or {}).get("type") != "Reread":
            told = ending.message["ok"]
            walk.store(begun.places, told["trees"], ended.seconds)
            self._entries.setdefault(begun.node.id, []).extend(told["entries"])
            self._frames.setdefault(begun.node.id, []).extend(told["frames"])
        if ended.failure is not None:
            walk.give_back(begun.places[len(told.get("trees", ())) :], first=bool(told))
            self._faulty.add(begun.node.id)
        still = any(other.node.id == begun.node.id for other in running)
        over = not still and (walk.whole or begun.node.id in self._faulty)
        return replace(ended, told=told, log=logs.kept(self._site.blobs, log) if over else None)

    def attempt(self, ended: Ended) -> int:
        """Return how often the item has failed that a part failed at; 0 where nobody knows which one it was."""
        ran = len((ended.told or {}).get("trees", ()))
        places = ended.begun.places[ran:]
        known = bool(ended.told) or len(places) == 1
        if not known:
            return 0
        key = (ended.begun.node.id, places[0])
        self._attempts[key] = self._attempts.get(key, 0) + 1
        return self._attempts[key]

    def write(self, tx: Transaction, ended: Ended) -> None:
        """Write the row of a map after a part of it."""
        self._write(tx, self._walks[ended.begun.node.id])

    def _write(self, tx: Transaction, walk: MapWalk) -> None:
        walk.write(tx, run_id=self._run.id, fence=self._run.fence, at_us=self._site.clock.now_us())

    def finish(self, node: Node, last: Ended | None = None) -> Ended | None:
        """Return the outcome of a map of which every item has a result; it is forgotten then."""
        walk = self._walks[node.id]
        if not walk.whole:
            return None
        begun, now_us = self._begun[node.id], self._site.clock.now_us()
        blobs, tree = self._site.blobs, walk.value()
        value, digest = outcomes.packed(blobs, tree)
        outcome = Outcome(
            key=begun.keyed.key,
            step=node.step,
            code=node.code,
            inputs=canonical(begun.keyed.facts).decode(),
            value=value,
            digest=digest,
            entries=outcomes.packed(blobs, self._entries.pop(node.id, []))[0],
            frames=canonical(self._frames.pop(node.id, [])).decode(),
            run_id=self._run.id,
            node=node.id,
            at_us=now_us,
        )
        del self._walks[node.id]
        notes = last.notes if last else ()
        return Ended(begun=begun, outcome=outcome, value=tree, failure=None, ended_us=now_us, notes=notes)
