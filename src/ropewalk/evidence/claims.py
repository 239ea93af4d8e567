"""What the rows claim and what the ledger says of the same facts: every difference is a finding."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

from ropewalk.evidence.claim import GONE, Claim, Difference, Words, kinds_of, name_of, state_of
from ropewalk.evidence.moved import merged
from ropewalk.evidence.starts import STARTS, pruned
from ropewalk.ledger.chain import Entry
from ropewalk.refs import canonical
from ropewalk.store.database import Reader, Row


def _run(entry: Entry, facts: Words) -> Words:
    return {**facts, "id": name_of(entry), "args": canonical(facts["args"]).decode(), "commit_sha": facts["commit"]}


def _tree(entry: Entry, facts: Words) -> Words:
    return {**facts, "release": name_of(entry), "tree": entry.kind.partition(".")[2], "actor": entry.actor}


def _registered(entry: Entry, facts: Words) -> Words:
    return {**facts, "deleted": int(entry.kind == "model.deleted")}


def _standing(entry: Entry, facts: Words) -> Words:
    return {"stage": "None", **facts, "deleted": int(entry.kind == "model.withdrawn")}


def _tagged(entry: Entry, facts: Words) -> Words:
    return {"hash": "", **facts, GONE: entry.kind == "model.untagged"}


def _segment(entry: Entry, facts: Words) -> Words:
    return {**facts, GONE: entry.kind == "segment.forgotten"}


def _tag_row(row: Row) -> Words:
    return {**row, "hash": sha256(str(row["value"]).encode()).hexdigest()}


_RUN = kinds_of("run", "started", "resumed", "scheduled", "finished", "failed", "interrupted", "cancelled")
_RELEASE = kinds_of(
    "release",
    "begun",
    "walking",
    "interrupted",
    "failed",
    "waiting",
    "canary",
    "live",
    "retired",
    "fallen",
    "rolled-back",
    "rejected",
)
_SPLIT = ("champion", "canary", "canary_weight_bp", "shadow", "previous", "salt", "reason")
_SPAN = ("first_id", "last_id", "first_us", "last_us", "event_first_us", "event_last_us")

CLAIMS = (
    Claim(
        what="run",
        query="evidence.runs",
        kinds=("run.started",),
        key=("id",),
        words=("pipeline", "args", "code", "commit_sha", "dirty", "environment"),
        said=_run,
    ),
    Claim(
        what="name of run",
        query="evidence.run_names",
        kinds=kinds_of("run", "started", "renamed"),
        key=("id",),
        words=("name",),
    ),
    Claim(
        what="state of run",
        query="evidence.run_states",
        kinds=_RUN,
        key=("id",),
        words=("state",),
        said=state_of({"started": "running", "resumed": "running"}),
    ),
    Claim(
        what="experiment",
        query="evidence.experiments",
        kinds=kinds_of("experiment", "created", "renamed", "deleted", "restored"),
        key=("id",),
        words=("name", "state", "location"),
    ),
    Claim(
        what="outcome of step",
        query="evidence.outcomes",
        kinds=("step.done",),
        key=("key",),
        words=("value",),
    ),
    Claim(
        what="snapshot",
        query="evidence.snapshots",
        kinds=("snapshot.recorded",),
        key=("run", "node", "name"),
        words=("id", "rows", "columns"),
    ),
    Claim(
        what="registered model",
        query="evidence.registered_models",
        kinds=("model.created", "model.renamed", "model.deleted"),
        key=("model",),
        words=("name", "deleted"),
        said=_registered,
    ),
    Claim(
        what="model",
        query="evidence.models",
        kinds=("model.registered",),
        key=("id", "model"),
        words=("manifest", "run", "source", "actor"),
    ),
    Claim(
        what="state of model",
        query="evidence.model_states",
        kinds=("model.registered", "model.stage", "model.withdrawn"),
        key=("model", "version"),
        words=("stage", "deleted"),
        said=_standing,
    ),
    Claim(
        what="tag of model",
        query="evidence.model_tags",
        kinds=("model.tag", "model.untagged"),
        key=("model", "version", "key"),
        words=("hash",),
        said=_tagged,
        read=_tag_row,
    ),
    Claim(
        what="alias",
        query="evidence.aliases",
        kinds=("model.alias",),
        key=("model", "alias", "seq"),
        words=("version", "actor"),
    ),
    Claim(
        what="release",
        query="evidence.releases",
        kinds=("release.begun",),
        key=("id",),
        words=("model", "manifest", "environment", "intent", "actor"),
    ),
    Claim(what="bundle of release", query="evidence.bundles", kinds=("tree.dev",), key=("id",), words=("bundle",)),
    Claim(
        what="state of release",
        query="evidence.release_states",
        kinds=_RELEASE,
        key=("id",),
        words=("state",),
        said=state_of({"begun": "walking"}),
    ),
    Claim(
        what="tree",
        query="evidence.trees",
        kinds=("tree.dev", "tree.release"),
        key=("tree", "release"),
        words=("bundle", "actor"),
        said=_tree,
    ),
    Claim(
        what="stage",
        query="evidence.stages",
        kinds=("stage.stored",),
        key=("id", "stage", "attempt"),
        words=("state", "summary", "evidence"),
    ),
    Claim(
        what="approval",
        query="evidence.approvals",
        kinds=("release.approve", "release.reject"),
        key=("id", "evidence", "actor"),
        words=("verdict", "bundle", "environment", "note"),
    ),
    Claim(
        what="traffic",
        query="evidence.traffic",
        kinds=("traffic.changed",),
        key=("endpoint", "generation"),
        words=(*_SPLIT, "actor"),
    ),
    Claim(
        what="decision on canary",
        query="evidence.decisions",
        kinds=("rollout.decided",),
        key=("id", "seq"),
        words=("decision", "step", "weight_bp", "evidence", "reason"),
    ),
    Claim(what="design of canary", query="evidence.designs", kinds=("rollout.begun",), key=("id",), words=("design",)),
    Claim(
        what="segment",
        query="evidence.segments",
        kinds=kinds_of("segment", "sealed", "compacted", "forgotten"),
        key=("digest",),
        words=("endpoint", "path", "rows", "bytes", *_SPAN, "sealed_us"),
        said=_segment,
    ),
    Claim(
        what="alert",
        query="evidence.alerts",
        kinds=("alert.opened",),
        key=("id",),
        words=("endpoint", "monitor", "release", "window_us", "reading", "reason", "evidence"),
    ),
    Claim(
        what="state of alert",
        query="evidence.alert_states",
        kinds=("alert.opened", "alert.closed"),
        key=("id",),
        words=("state",),
        said=state_of({"opened": "open"}),
    ),
    Claim(
        what="closing of alert",
        query="evidence.alerts_closed",
        kinds=("alert.closed",),
        key=("id",),
        words=("why", "evidence"),
    ),
    Claim(
        what="retraining of alert",
        query="evidence.alerts_retrained",
        kinds=("alert.retrain",),
        key=("id",),
        words=("run",),
    ),
    *STARTS,
)

# What is no more once `ropewalk gc` has removed it for good.
_PURGED = {"run.purged": ("run", "name of run", "state of run"), "experiment.purged": ("experiment",)}


class Claims:
    """Hears the ledger entry by entry, then compares the rows with what was heard.

    Args:
        claims: which facts to compare.
    """

    def __init__(self, claims: tuple[Claim, ...] = CLAIMS) -> None:
        self._claims = claims
        self._by_kind: dict[str, list[Claim]] = defaultdict(list)
        for claim in claims:
            for kind in claim.kinds:
                self._by_kind[kind].append(claim)
        self._said: dict[str, dict[tuple[Any, ...], tuple[tuple[Any, ...], int]]] = defaultdict(dict)

    def hear(self, entry: Entry) -> None:
        """Note what an entry says; one whose body was damaged says nothing, the chain names it."""
        for what in _PURGED.get(entry.kind, ()):
            self._said[what].pop((name_of(entry),), None)
        for what, name in (*pruned(entry), *merged(entry)):
            self._said[what].pop((name,), None)
        claims = self._by_kind.get(entry.kind)
        if claims is None:
            return
        try:
            facts = json.loads(entry.body)
            for claim in claims:
                words = claim.said(entry, facts)
                key = tuple(words[name] for name in claim.key)
                if words.get(GONE):
                    self._said[claim.what].pop(key, None)
                    continue
                self._said[claim.what][key] = (tuple(words[name] for name in claim.words), entry.seq)
        except (ValueError, KeyError, TypeError):
            return

    def differences(self, rows: Reader) -> Iterator[Difference]:
        """Yield every row that the ledger does not know or tells otherwise, and every fact whose row is gone.

        Args:
            rows: where the rows are, in the same view as the entries that were heard.
        """
        for claim in self._claims:
            yield from _compare(rows, claim, self._said[claim.what])


def _compare(
    rows: Reader, claim: Claim, said: Mapping[tuple[Any, ...], tuple[tuple[Any, ...], int]]
) -> Iterator[Difference]:
    seen: set[tuple[Any, ...]] = set()
    for row in map(claim.read, rows.rows(claim.query)):
        key = tuple(row[name] for name in claim.key)
        seen.add(key)
        what = f"{claim.what} {_text(key)}"
        told = said.get(key)
        if told is None:
            if claim.known:
                yield Difference(what=what, why="its row stands there, the ledger knows nothing", seq=0)
            continue
        words, seq = told
        for name, word in zip(claim.words, words, strict=True):
            if row[name] != word:
                why = f"its row says {name} {_short(row[name])}, the ledger {_short(word)}"
                yield Difference(what=what, why=why, seq=seq)
    for key in sorted(said.keys() - seen, key=lambda gone: said[gone][1]):
        yield Difference(
            what=f"{claim.what} {_text(key)}", why="the ledger knows it, its row is gone", seq=said[key][1]
        )


def _text(key: tuple[object, ...]) -> str:
    return " ".join(str(part) for part in key)


def _short(value: object) -> str:
    return repr(value)[:90]
