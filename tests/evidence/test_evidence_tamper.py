"""A thousand flipped bytes in blobs, bundles, segments and rows: each is named, and nothing tampered is loaded."""

from __future__ import annotations

import random
import re
import sqlite3  # noqa: TID251 - somebody who edits the file does not use our adapter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from evidence.delivered import Delivered, opened
from ropewalk.endpoints.batch import score, score_model
from ropewalk.errors import Corrupt, RopewalkError
from ropewalk.evidence.claims import CLAIMS
from ropewalk.evidence.replay import replay
from ropewalk.evidence.verify import Report, verify
from ropewalk.ledger.chain import Entry
from ropewalk.models.manifest import read_manifest
from ropewalk.releases import release
from ropewalk.releases.build import verify_bundle
from ropewalk.releases.bundle import read_bundle
from ropewalk.site import Site
from ropewalk.store.queries import load_queries

FLIPS = {"blob": 250, "bundle": 100, "segment": 150, "ledger": 300, "row": 200}
# Columns that are compared, by table; the names that `evidence.sql` gives them are resolved there.
TABLES = {
    "experiments": ("name", "state", "location"),
    "runs": ("id", "name", "pipeline", "args", "code", "commit_sha", "dirty", "environment", "state"),
    "outcomes": ("key", "digest"),
    "snapshots": ("run_id", "node", "name", "digest", "rows", "columns"),
    "model_versions": ("version", "registered_as", "manifest", "run_id", "author", "source", "stage"),
    "registered_models": ("name",),
    "registered_model_tags": ("key", "value"),
    "model_version_tags": ("version", "key", "value"),
    "model_aliases": ("alias", "seq", "version", "actor"),
    "releases": ("id", "model", "version", "manifest", "environment", "intent", "author", "bundle", "state"),
    "release_stages": ("release", "stage", "attempt", "state", "summary", "evidence"),
    "release_trees": ("tree", "release", "bundle", "actor"),
    "traffic": ("endpoint", "generation", "champion", "salt", "reason", "actor"),
    "segments": ("digest", "endpoint", "path", "rows", "bytes", "first_id", "last_id", "first_us", "sealed_us"),
    "labels": ("endpoint", "prediction", "value", "known_us", "at_us", "batch"),
    "reports": ("endpoint", "metric", "prediction", "value", "known_us", "at_us", "batch"),
    "alerts": ("id", "endpoint", "monitor", "release", "window_us", "reading", "reason", "evidence", "state", "run"),
}
ELSEWHERE = {"fires", "backfills", "sweeps", "trials"}  # tests/evidence/test_evidence_starts.py flips theirs
ENGINES = {"model.onnx": "onnx", "model.skops": "native"}
# How a finding calls a row of each table.
WORDS = {
    "experiments": "experiment ",
    "runs": "run ",
    "outcomes": "outcome ",
    "snapshots": "snapshot ",
    "model_versions": "model ",
    "registered_models": "registered model ",
    "registered_model_tags": "tag of model ",
    "model_version_tags": "tag of model ",
    "model_aliases": "alias ",
    "releases": "release ",
    "release_stages": "stage ",
    "release_trees": "tree ",
    "traffic": "traffic ",
    "segments": "segment ",
    "labels": "labels ",
    "reports": "reports ",
    "alerts": "alert ",
}


@pytest.fixture
def raw(copied: Path) -> Iterator[sqlite3.Connection]:
    """The database as somebody with the disk in his hands has it: no triggers, no foreign keys."""
    connection = sqlite3.connect(copied / ".ropewalk" / "ropewalk.db", isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.execute("pragma synchronous = off")
    for trigger in ("ledger_keeps_rows", "ledger_keeps_words"):
        connection.execute(f"drop trigger {trigger}")
    yield connection
    connection.close()


@pytest.fixture
def site(copied: Path) -> Iterator[Site]:
    with opened(copied) as open_:
        yield open_.site


def named(report: Report, word: str) -> bool:
    return any(word in f"{finding.what} {finding.why}" for finding in report.findings)


@contextmanager
def flipped(path: Path, chance: random.Random) -> Iterator[None]:
    """Flip one bit of one byte, and put it back afterwards."""
    path.chmod(0o600)
    place, bit = chance.randrange(path.stat().st_size), 1 << chance.randrange(8)
    with path.open("r+b") as file:
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ bit]))
        file.flush()
        yield
        file.seek(place)
        file.write(bytes([byte]))


def altered(value: Any, chance: random.Random) -> Any:
    """Return a value with one bit of one byte flipped, as the text or number that it then is."""
    match value:
        case int():
            return value ^ (1 << chance.randrange(20))
        case float():
            return value * (1 + 2.0 ** -chance.randrange(1, 52))
        case "":
            return chr(chance.randrange(32, 127))
        case _:
            place = chance.randrange(len(value))
            return value[:place] + chr(ord(value[place]) ^ (1 << chance.randrange(5))) + value[place + 1 :]


@contextmanager
def changed_cell(
    raw: sqlite3.Connection, table: str, columns: tuple[str, ...], chance: random.Random
) -> Iterator[tuple[set[object], str]]:
    """Flip a bit in one cell of a table, tell of which row and column, and put it back afterwards."""
    key = "seq" if table == "ledger" else "rowid"
    while True:
        row = chance.choice(raw.execute(f"select rowid as place, * from {table}").fetchall())
        column = chance.choice([name for name in columns if row[name] is not None])
        now, place = altered(row[column], chance), row["place"]
        try:
            raw.execute(f"update {table} set {column} = ? where {key} = ?", (now, place))
        except sqlite3.IntegrityError:  # another row has this key: the database itself has refused
            continue
        break
    there = now if column == key else place
    yield {place, there}, column
    raw.execute(f"update {table} set {column} = ? where {key} = ?", (row[column], there))


def test_a_thousand_flipped_bytes_are_all_named(copied: Path, site: Site, raw: sqlite3.Connection) -> None:
    chance = random.Random(20131121)
    hidden = copied / ".ropewalk"
    blobs = sorted(hidden.glob("blobs/[0-9a-f][0-9a-f]/*"))
    segments = sorted(hidden.glob("capture/*/*.parquet"))
    with site.db.read() as rows:
        bundle = release.get(rows, "flights/1").bundle
    made = read_bundle(site.blobs, bundle)
    parts = {bundle, *dict(made.parts()).values(), *read_manifest(site.blobs, made.manifest).parts.values()}
    of_bundle = [path for path in blobs if f"sha256:{path.parent.name}{path.name}" in parts]
    missed: list[str] = []

    for kind, count in FLIPS.items():
        for number in range(count):
            if kind == "ledger":
                with changed_cell(raw, "ledger", Entry.__slots__, chance) as (seqs, column):
                    report = verify(site, only=frozenset({"ledger"}))
                if not report.findings or report.findings[0].what not in {f"ledger entry {seq}" for seq in seqs}:
                    missed.append(f"{number}: ledger {seqs} {column}: {report.findings[:2]}")
            elif kind == "row":
                table = chance.choice(sorted(TABLES))
                with changed_cell(raw, table, TABLES[table], chance) as (rowid, column):
                    report = verify(site, only=frozenset({"ledger", "rows"}))
                if not named(report, WORDS[table]):
                    missed.append(f"{number}: {table} {rowid} {column}")
            else:
                path = chance.choice({"blob": blobs, "bundle": of_bundle, "segment": segments}[kind])
                with flipped(path, chance):
                    report = verify(site, only=frozenset({"segments" if kind == "segment" else "blobs"}))
                name = path.name if kind == "segment" else f"sha256:{path.parent.name}{path.name}"
                if not named(report, name):
                    missed.append(f"{number}: {kind} {path.name}")

    assert sum(FLIPS.values()) == 1000
    assert missed == []
    assert verify(site).findings == ()


def test_the_flips_reach_every_claim() -> None:
    queries = load_queries("sqlite")
    tables = {re.findall(r"\bfrom (\w+)", queries[claim.query])[0] for claim in CLAIMS}

    assert tables - {"approvals", "rollouts", "rollout_decisions", *ELSEWHERE} <= TABLES.keys()


@pytest.mark.parametrize("part", ["model.onnx", "model.skops", "contract.json"])
def test_a_tampered_model_is_refused_at_load(copied: Path, site: Site, delivered: Delivered, part: str) -> None:
    with site.db.read() as rows:
        bundle = release.get(rows, "flights/1").bundle
    digest = read_manifest(site.blobs, read_bundle(site.blobs, bundle).manifest).parts[part]
    name = digest.removeprefix("sha256:")
    inputs = pl.DataFrame({"hour": [1.0], "wind": [2.0]})

    with flipped(copied / ".ropewalk" / "blobs" / name[:2] / name[2:], random.Random(1)):
        if part != "contract.json":  # the worker reads the model alone
            with pytest.raises(RopewalkError) as caught:
                score_model(site, read_bundle(site.blobs, bundle).manifest, inputs, engine=ENGINES[part])
            assert caught.value.code == "blob-corrupt"
        with pytest.raises(Corrupt) as refused:
            verify_bundle(site.blobs, bundle)
        assert refused.value.where == digest

    assert score(site, bundle, inputs).height == 1


def test_a_tampered_bundle_is_never_replayed(copied: Path, site: Site, delivered: Delivered) -> None:
    with site.db.read() as rows:
        bundle = release.get(rows, "flights/1").bundle.removeprefix("sha256:")

    with (
        flipped(copied / ".ropewalk" / "blobs" / bundle[:2] / bundle[2:], random.Random(2)),
        pytest.raises(Corrupt) as caught,
    ):
        replay(site, delivered.predictions[0], lambda digest, frame: score(site, digest, frame))

    assert caught.value.code == "blob-corrupt"
