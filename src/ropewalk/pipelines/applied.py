"""What a step logged and which frames it made, given to a run: to the one that ran it, and to each it answers for."""

from __future__ import annotations

import json
from typing import Any

from ropewalk.pipelines import outcomes
from ropewalk.pipelines.graph import Node
from ropewalk.pipelines.keys import Keyed
from ropewalk.pipelines.outcomes import Outcome
from ropewalk.pipelines.trees import frames_of
from ropewalk.runs import keep
from ropewalk.runs.log import LogEntry
from ropewalk.runs.run import Run
from ropewalk.site import Site
from ropewalk.store.database import Transaction


def apply_outcome(tx: Transaction, site: Site, run: Run, *, node: Node, outcome: Outcome, key: Keyed) -> None:
    """Give a run what a step logged and which frames it made; a second time changes nothing."""
    if outcome.entries == "[]" and outcome.frames == "[]":
        return
    plain = outcomes.unpacked(site.blobs, outcome.entries)
    entries = [LogEntry.from_plain(values) for values in plain]
    if not keep.apply(tx, run.id, entries, node=node.id, at_us=site.clock.now_us()):
        return
    frames: list[dict[str, Any]] = json.loads(outcome.frames)
    if not frames:
        return
    from ropewalk.data import snapshot
    from ropewalk.data.frames import FrameRef

    parents = frames_of(list(key.inputs.values()))
    for position, facts in enumerate(frames):
        plain_schema: list[tuple[str, str]] = facts["schema"]
        facts["schema"] = tuple((column, kind) for column, kind in plain_schema)
        name = node.id if position == 0 else f"{node.id}[{position}]"
        ref = FrameRef(**facts)
        snapshot.record(tx, site, ref, name=name, run_id=run.id, node=node.id, parents=parents)
