"""Rows of the pipelines room: outcomes by key, codes by parts, and what each run did with each node."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from sys import intern
from typing import Any

from ropewalk.blobs.bucket import Bucket
from ropewalk.errors import Corrupt, NotFound
from ropewalk.pipelines.graph import Tree, is_list
from ropewalk.pipelines.pieces import bytes_of_list
from ropewalk.pipelines.trees import leaves
from ropewalk.records import frozen, replace, values_of
from ropewalk.refs import canonical, digest_of, is_digest
from ropewalk.store.database import Reader, Transaction

WAITING, RUNNING, DONE, CACHED = "waiting", "running", "done", "cached"
FAILED, SKIPPED, INTERRUPTED = "failed", "skipped", "interrupted"
INLINE_BYTES_MAX = 16 << 10
PAGE = 1_000  # rows of a run that are read at a time
_BLOBS = ("$frame", "$series", "$npy_blob", "$blob", "$skops", "$pickle")


@frozen
class Outcome:
    """What a step gave for a key.

    Attributes:
        key: the cache key.
        step: `module:qualified.name`.
        code: digest of the step's code.
        inputs: JSON of what else the key was made of.
        value: canonical JSON of the value's tree, or the digest of a blob that holds it.
        digest: sha256 of that JSON.
        entries: JSON of what the step logged, or the digest of a blob that holds it.
        frames: JSON of the frames that it made.
        run_id: the run that stored it.
        node: the node that stored it.
        at_us: microseconds since the epoch.
    """

    key: str
    step: str
    code: str
    inputs: str
    value: str
    digest: str
    entries: str
    frames: str
    run_id: str
    node: str
    at_us: int


@frozen
class StepRecord:
    """What a run did with one node.

    Attributes:
        run_id: the run.
        node: the node's id.
        position: its place in the order of recording, from 0.
        pipeline: `FILE.py:FUNCTION`.
        step: `module:qualified.name`.
        state: `waiting`, `running`, `done`, `cached`, `failed`, `skipped` or `interrupted`.
        attempt: how often it was begun, 0 when it came from the cache.
        key: key of its outcome, empty when its inputs never came.
        code: digest of its code.
        inputs: JSON of what else the key was made of.
        reason: JSON list of sentences: why it ran or did not.
        error: JSON of the failure, empty for none.
        fence: the run's holder that wrote this.
        started_us: microseconds since the epoch.
        ended_us: microseconds since the epoch, None while it runs.
    """

    run_id: str
    node: str
    position: int
    pipeline: str
    step: str
    state: str
    attempt: int
    key: str
    code: str
    inputs: str
    reason: str
    error: str
    fence: int
    started_us: int
    ended_us: int | None

    def reasons(self) -> tuple[str, ...]:
        """Return why it ran, in sentences."""
        return tuple(json.loads(self.reason)) if self.reason else ()

    def failure(self) -> dict[str, Any] | None:
        """Return what went wrong, or None."""
        return json.loads(self.error) if self.error else None


def find(reader: Reader, key: str) -> Outcome | None:
    """Return the outcome of a key, or None."""
    return reader.get(Outcome, "pipelines.outcome", key=key)


def keep(tx: Transaction, outcome: Outcome) -> Outcome:
    """Store an outcome unless its key has one; return the one that is stored."""
    values = values_of(outcome)
    if tx.run("pipelines.keep_outcome", **values):
        return outcome
    stored = find(tx, outcome.key)
    assert stored is not None, "the key was taken"
    return stored


def keep_code(tx: Transaction, digest: str, parts: Mapping[str, str]) -> None:
    """Store the parts of a code."""
    tx.run("pipelines.keep_code", digest=digest, parts=canonical(dict(parts)).decode())


def parts_of(reader: Reader, code: str) -> dict[str, str]:
    """Return the parts of a code; none when it was never stored."""
    found = reader.value("pipelines.code", digest=code)
    return {} if found is None else json.loads(str(found))


def keep_step(tx: Transaction, record: StepRecord) -> bool:
    """Store what a run did with a node; a finished one and one of a newer holder stay as they are."""
    return bool(tx.run("pipelines.keep_step", **values_of(record)))


def steps_of(reader: Reader, run_id: str, *, running: bool) -> tuple[StepRecord, ...]:
    """Return what a run did with each of its nodes, in the order they were recorded.

    Args:
        reader: where the rows are.
        run_id: the run.
        running: whether the run is running now: in one that is not, nothing is.
    """
    found = reader.all(StepRecord, "pipelines.steps_of_run", run_id=run_id)
    return tuple(_now(record, running=running) for record in found)


def states_of(reader: Reader, run_id: str) -> list[tuple[str, str, str]]:
    """Return each node of a run with its state as it was written and the key of its outcome, in order."""
    found: list[tuple[int, str, str, str]] = []
    node = ""
    while True:
        page = reader.rows("pipelines.states_of_run", run_id=run_id, node=node, count=PAGE)
        for row in page:
            node = str(row["node"])
            found.append((int(str(row["position"])), node, intern(str(row["state"])), str(row["key"])))
        if len(page) < PAGE:
            return [(node, state, key) for _, node, state, key in sorted(found)]


def counts_of(reader: Reader, run_id: str) -> dict[str, int]:
    """Return how many nodes of a run are in each state."""
    found = reader.rows("pipelines.counts_of_run", run_id=run_id)
    return {str(row["state"]): int(str(row["count"])) for row in found}


def step_of(reader: Reader, run_id: str, node: str, *, running: bool) -> StepRecord | None:
    """Return what a run did with one of its nodes, as `steps_of` does; None where it has not come to it."""
    found = reader.get(StepRecord, "pipelines.step", run_id=run_id, node=node)
    return None if found is None else _now(found, running=running)


def _now(record: StepRecord, *, running: bool) -> StepRecord:
    return record if running or record.state not in (RUNNING, WAITING) else replace(record, state=INTERRUPTED)


def last_of(reader: Reader, pipeline: str, node: str, but: str = "") -> StepRecord | None:
    """Return what the newest other run did that finished this node."""
    return reader.get(StepRecord, "pipelines.last_of_node", pipeline=pipeline, node=node, run_id=but)


def packed(blobs: Bucket, tree: Tree) -> tuple[str, str]:
    """Return a tree as text for a row, and its digest; a large one goes among the blobs."""
    data = bytes_of_list(tree) if is_list(tree) else canonical(tree)
    return (data.decode() if len(data) <= INLINE_BYTES_MAX else blobs.put(data)), digest_of(data)


def packed_list(blobs: Bucket, items: Iterable[Tree]) -> str:
    """Return a list as text for a row, as `packed` does, without all of its items in memory at a time."""
    data = bytes_of_list(items)
    return data.decode() if len(data) <= INLINE_BYTES_MAX else blobs.put(data)


def unpacked(blobs: Bucket, text: str, digest: str = "") -> Tree:
    """Return the tree of a row's text.

    Raises:
        NotFound: its blob is missing.
        Corrupt: the text or the blob is not what was stored.
    """
    data = blobs.get(text) if is_digest(text) else text.encode()
    if digest and digest_of(data) != digest:
        raise Corrupt(
            "outcome-corrupt",
            "A step's kept value is not the one that was stored.",
            where=digest,
            why="its sha256 is another one",
            fix="ropewalk verify",
        )
    return json.loads(data)


def value_of(blobs: Bucket, outcome: Outcome) -> Tree:
    """Return the tree of an outcome's value, verified.

    Raises:
        Corrupt: the row was changed.
        NotFound: a blob of it is missing.
    """
    tree = unpacked(blobs, outcome.value, outcome.digest)
    for digest in blobs_of(tree):
        if not blobs.has(digest):
            raise NotFound("blob-not-found", "There is no such blob.", where=digest, fix="ropewalk verify")
    return tree


def blobs_of(tree: Tree) -> Iterable[str]:
    """Yield the digests of the blobs that a value's tree names."""
    for leaf in leaves(tree):
        for tag in _BLOBS:
            if tag in leaf:
                yield leaf[tag]
