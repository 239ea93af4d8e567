"""One prediction traced back to its rows and its commit, each link named by digest and ledger entry."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from ropewalk.clock import iso
from ropewalk.data import frames
from ropewalk.data import snapshot as snapshots
from ropewalk.endpoints.capture import find
from ropewalk.endpoints.making import reading
from ropewalk.endpoints.segment import Segment, segment_bytes, segments_with
from ropewalk.endpoints.unreleased import is_unreleased, version_of
from ropewalk.errors import NotFound
from ropewalk.evidence.scored import Scored, scored
from ropewalk.ledger.chain import Entry
from ropewalk.models import versions
from ropewalk.models.manifest import Manifest, read_manifest
from ropewalk.observations import labels
from ropewalk.pipelines import outcomes
from ropewalk.refs import short, uuid7_time_us
from ropewalk.releases import approval, outcome, release, traffic
from ropewalk.releases.bundle import Bundle, read_bundle
from ropewalk.runs import run as runs
from ropewalk.site import Site
from ropewalk.store.database import Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One link of the line.

    Attributes:
        kind: the stage of the line: `observation`, `endpoint`, `release`, `bundle`, `model`, `run`, `data` or `commit`.
        title: what it is, in a few words.
        told: one sentence for people.
        digest: what it is by content, or empty.
        entry: number of the ledger's entry that vouches for it, 0 for none.
        facts: the details, JSON-able.
    """

    kind: str
    title: str
    told: str
    digest: str = ""
    entry: int = 0
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """The whole line behind one prediction, newest link first.

    Attributes:
        id: the prediction.
        links: from the observation to the commit.
    """

    id: str
    links: tuple[Link, ...]


def captured(site: Site, prediction: str) -> dict[str, Any]:
    """Return what was captured of a prediction.

    Raises:
        NotFound: nobody answered under this id.
    """
    found = find(site, prediction)
    if found is None:
        raise NotFound(
            "prediction-not-found",
            "There is no such prediction.",
            where=prediction[:80],
            why="no captured segment and no journal holds this id",
            fix="ropewalk status",
        )
    return found


def trace(site: Site, prediction: str) -> Trace:
    """Return the line behind a prediction.

    Raises:
        NotFound: nobody answered under this id, or a link is missing.
        Corrupt: a link's bytes are not the ones that were recorded.
    """
    with reading(site), site.db.read(seconds_max=None) as rows:
        one = scored(site, rows, prediction)
        if one is not None:
            links = (_scored(rows, prediction, one), *_released(site, rows, one.batch.release))
            return Trace(id=prediction, links=links)
        row = captured(site, prediction)
        if is_unreleased(str(row["release"])):
            return Trace(id=prediction, links=_unreleased(site, rows, prediction, row))
        seen = _observation(site, rows, prediction, row), _endpoint(rows, row)
        return Trace(id=prediction, links=(*seen, *_released(site, rows, str(row["release"]))))


def _released(site: Site, rows: Reader, name: str) -> Iterator[Link]:
    """Yield the line behind a release."""
    found = release.get(rows, name)
    bundle = read_bundle(site.blobs, found.bundle)
    model = read_manifest(site.blobs, bundle.manifest)
    version = versions.get(rows, bundle.model, bundle.version)
    yield _release(rows, found)
    yield _bundle(rows, found, bundle)
    yield _model(rows, version, model)
    yield from _run(rows, version.run_id)
    yield from _data(site, rows, version, model)
    yield from _commit(site, rows, version.run_id)


def _scored(rows: Reader, prediction: str, one: Scored) -> Link:
    batch = one.batch
    place = " ".join(f"{name} {value}" for name, value in batch.place().items())
    told = f"row {one.row:,} of {place}, scored in batch {batch.id} by {batch.actor} on {iso(batch.begun_us)}"
    return Link(
        kind="observation",
        title=f"Prediction {prediction}",
        told=f"{told}; {one.why}" if one.why else told,
        digest=batch.output,
        entry=_entry(rows, batch.subject, f"batch.{batch.state}") or _entry(rows, batch.subject, "batch.begun"),
        facts={"row": one.row, "batch": batch.id, "source": batch.place(), "cells": one.cells},
    )


def _unreleased(site: Site, rows: Reader, prediction: str, row: Mapping[str, Any]) -> tuple[Link, ...]:
    """Return the line behind an answer of a version that has not walked it: there is no release and no bundle."""
    version = version_of(rows, str(row["release"]))
    model = read_manifest(site.blobs, version.manifest)
    told = "answered by `ropewalk serve`, before any of the nine stages: nobody has tested or approved it"
    link = Link(kind="release", title=f"No release: {version.ref}", told=told, facts={"stages": {}, "approvals": []})
    return (
        _observation(site, rows, prediction, row),
        link,
        _model(rows, version, model),
        *_run(rows, version.run_id),
        *_data(site, rows, version, model),
        *_commit(site, rows, version.run_id),
    )


def _entry(rows: Reader, subject: str, kind: str, **words: object) -> int:
    """Return the newest entry of a kind about a subject whose body says these words."""
    fitting = [
        entry.seq
        for entry in rows.all(Entry, "ledger.of_subject", subject=subject)
        if entry.kind == kind and (not words or words.items() <= entry.facts().items())
    ]
    return fitting[-1] if fitting else 0


def _cells(row: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in row.items() if name.startswith(prefix)}


def _observation(site: Site, rows: Reader, prediction: str, row: Mapping[str, Any]) -> Link:
    segment = _holder(site, rows, prediction)
    label = _label(rows, row)
    told = f"answered at {iso(int(row['at_us']))} in {int(row['latency_us']) / 1000:.2f} ms: {row['status']}"
    if row["error"]:
        told += f" ({row['error']})"
    if label is not None:
        told += f"; what really happened: {label[0]}, known at {iso(label[1])}"
    facts = {
        "input": _cells(row, "in."),
        "output": _cells(row, "out."),
        "status": row["status"],
        "key": row["key"],
        "event_time": iso(int(row["event_us"])),
        "label": None if label is None else labels.value_of(label[0]),
        "segment": segment.path if segment else "still in the journal, not sealed yet",
    }
    return Link(
        kind="observation",
        title=f"Prediction {prediction}",
        told=told,
        digest=segment.digest if segment else "",
        entry=_made(rows, segment) if segment else 0,
        facts=facts,
    )


def _made(rows: Reader, segment: Segment) -> int:
    """Return the entry that made a segment known: sealed from a journal, or compacted from others."""
    subject = f"segment:{segment.digest}"
    return _entry(rows, subject, "segment.sealed") or _entry(rows, subject, "segment.compacted")


def _holder(site: Site, rows: Reader, prediction: str) -> Segment | None:
    """Return the segment that really has the row: spans of ids overlap, and a journal may have it still."""
    import polars as pl

    for one in segments_with(rows, prediction):
        table = pl.scan_parquet(BytesIO(segment_bytes(site, one)))
        if table.filter(pl.col("id") == prediction).select(pl.len()).collect().item():
            return one
    return None


def _label(rows: Reader, row: Mapping[str, Any]) -> tuple[str, int] | None:
    """Return what really happened, as JSON, and when it was known; a shadow has the label of its pair."""
    import polars as pl

    own = str(row["pair"] if row["role"] == "shadow" and row["pair"] else row["id"])
    at_us, event_us = uuid7_time_us(own), int(row["event_us"])
    key = row["key"] or ""
    since_us = min(at_us, event_us) if key else at_us
    by_id, by_key = labels.read(rows, str(row["endpoint"]), since_us=since_us, until_us=at_us + 1)
    found = by_id.filter(pl.col("id") == own)
    if key and not found.height:
        found = by_key.filter((pl.col("key") == key) & (pl.col("known_us") >= event_us))
    if not found.height:
        return None
    return str(found.item(0, "label")), int(found.item(0, "known_us"))


def _endpoint(rows: Reader, row: Mapping[str, Any]) -> Link:
    name, generation = str(row["endpoint"]), int(row["generation"])
    then = traffic.since(rows, name, generation)
    split = then[0] if then and then[0].generation == generation else None
    told = f"{row['role']} of {name}"
    if row["pair"]:
        told += f", asked beside prediction {row['pair']}"
    if split is not None:
        share = f"; {split.canary} had {split.canary_weight_bp / 100:g} %" if split.canary else ""
        told += f": {split.champion} was champion{share} since {iso(split.at_us)} ({split.reason})"
    return Link(
        kind="endpoint",
        title=f"Endpoint {name}, generation {generation}",
        told=told,
        entry=_entry(rows, f"endpoint:{name}", "traffic.changed", generation=generation),
        facts={
            "role": row["role"],
            "pair": row["pair"],
            "reason": split.reason if split else "",
            "actor": split.actor if split else "",
        },
    )


def _release(rows: Reader, found: release.Release) -> Link:
    stages = {item.stage: item for item in outcome.stages(rows, found.id)}
    words = [f"{word.actor}: {word.verdict}" for word in approval.approvals(rows, found.id)]
    told = f"shipped by {found.author} on {iso(found.created_us)}, now {found.state}"
    if words:
        told += "; " + ", ".join(words)
    return Link(
        kind="release",
        title=f"Release {found.id}",
        told=told,
        entry=_entry(rows, found.subject, "release.begun"),
        facts={
            "stages": {
                name: {"state": item.state, "summary": item.summary, "evidence": item.evidence}
                for name, item in stages.items()
            },
            "approvals": words,
        },
    )


def _bundle(rows: Reader, found: release.Release, bundle: Bundle) -> Link:
    return Link(
        kind="bundle",
        title=f"Bundle {short(found.bundle)}",
        told="model, code, lock, contract, bill of materials and signed provenance under one digest",
        digest=found.bundle,
        entry=_entry(rows, found.subject, "tree.dev"),
        facts=dict(bundle.parts()),
    )


def _model(rows: Reader, version: versions.ModelVersion, model: Manifest) -> Link:
    twin = "with an ONNX twin that agrees on the golden rows" if model.parity.passed else model.parity.reason
    return Link(
        kind="model",
        title=f"Model {version.ref}",
        told=f"{model.flavor}, {model.task}, {twin}",
        digest=version.manifest,
        entry=_entry(rows, version.subject, "model.registered", model=version.model),
        facts={"parts": model.parts, "libraries": model.libraries},
    )


def _run(rows: Reader, run_id: str) -> Iterator[Link]:
    run = runs.get(rows, run_id)
    yield Link(
        kind="run",
        title=f"Run {run.name}",
        told=f"{run.pipeline} with {run.args} by {run.author}, started {iso(run.started_us)}, {run.state}",
        digest=run.environment,
        entry=_entry(rows, run.subject, "run.started"),
        facts={
            "id": run.id,
            "pipeline": run.pipeline,
            "args": json.loads(run.args),
            "environment": run.environment,
            "steps": {
                step.node: {"state": step.state, "key": step.key, "code": step.code}
                for step in outcomes.steps_of(rows, run.id, running=run.state == runs.RUNNING)
            },
        },
    )


def _data(site: Site, rows: Reader, version: versions.ModelVersion, model: Manifest) -> Iterator[Link]:
    train = model.parts["train.parquet"]
    count = _height(site, train)
    yield Link(
        kind="data",
        title=f"Training rows {short(train)}",
        told=f"the {count:,} rows that the model learnt from",
        digest=train,
        entry=_entry(rows, version.subject, "model.registered", model=version.model),
        facts={"rows": count, "target": model.target},
    )
    for one in snapshots.of_run(rows, version.run_id):
        parents = [edge.parent for edge in snapshots.lineage(rows, one.digest) if edge.digest == one.digest]
        yield Link(
            kind="data",
            title=f"Rows of step {one.node}",
            told=f"{one.rows:,} rows, {one.columns} columns",
            digest=one.digest,
            entry=_entry(rows, one.subject, "snapshot.recorded", run=one.run_id, node=one.node, name=one.name),
            facts={"name": one.name, "rows": one.rows, "made from": parents},
        )


def _height(site: Site, digest: str) -> int:
    import polars as pl

    return int(frames.scan(site.blobs, digest).select(pl.len()).collect().item())


def _commit(site: Site, rows: Reader, run_id: str) -> Iterator[Link]:
    run = runs.get(rows, run_id)
    if run.commit_sha:
        told = f"commit {run.commit_sha} on {run.branch or 'no branch'}" + (
            ", with uncommitted changes" if run.dirty else ""
        )
    else:
        told = "no git here; the files themselves were kept"
    files = json.loads(site.blobs.get(run.code))["files"]
    yield Link(
        kind="commit",
        title=f"Code {run.commit_sha[:10] or short(run.code)}",
        told=told,
        digest=run.code,
        entry=_entry(rows, run.subject, "run.started"),
        facts={"files": {path: digest for path, digest, _ in files}},
    )
