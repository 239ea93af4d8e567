"""A prediction is traced to its rows and its commit, and each link names the entry that vouches for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from evidence.delivered import Delivered, opened
from ropewalk.endpoints.journal import ENDING, Journal
from ropewalk.errors import Corrupt, NotFound
from ropewalk.evidence.trace import Trace, trace
from ropewalk.house import House
from ropewalk.ledger.chain import Entry, entries
from ropewalk.observations import labels
from ropewalk.refs import uuid7
from ropewalk.site import Site

KINDS = {
    "observation": "segment.sealed",
    "endpoint": "traffic.changed",
    "release": "release.begun",
    "bundle": "tree.dev",
    "model": "model.registered",
    "run": "run.started",
    "commit": "run.started",
}


def link(found: Trace, kind: str):
    return next(one for one in found.links if one.kind == kind)


def written(site: Site) -> dict[int, Entry]:
    with site.db.read() as rows:
        return {entry.seq: entry for entry in entries(rows)}


def journaled(site: Site, **changes: object) -> str:
    """Write one prediction down as the gateway does, not sealed yet."""
    now = site.clock.now_us()
    prediction = uuid7(now)
    frame: dict[str, object] = {
        "id": [prediction],
        "at_us": now,
        "event_us": now,
        "endpoint": "flights",
        "release": "flights/1",
        "role": "champion",
        "pair": None,
        "key": None,
        "status": "ok",
        "error": None,
        "latency_us": 900,
        "generation": 1,
        "warnings": 0,
        "in": {"hour": [1.5], "wind": [2.5]},
        "out": {"probability": [0.5], "label": [0]},
    }
    journal = Journal(site.hidden / "capture" / "flights" / f"{uuid7(now)}{ENDING}")
    journal.append({**frame, **changes}, 1)
    journal.close()
    return prediction


def test_the_line_goes_from_the_answer_to_the_commit(reading: House, delivered: Delivered) -> None:
    found = trace(reading.site, delivered.predictions[5])

    kinds = [one.kind for one in found.links]
    assert list(dict.fromkeys(kinds)) == [
        "observation",
        "endpoint",
        "release",
        "bundle",
        "model",
        "run",
        "data",
        "commit",
    ]
    assert delivered.sha in link(found, "commit").told
    assert link(found, "commit").facts["files"].keys() >= {"pipeline.py", "ropewalk.toml"}
    assert "uncommitted" not in link(found, "commit").told
    assert link(found, "data").facts["rows"] == 300
    assert link(found, "observation").facts["input"] == {"hour": 5 * 0.37 % 24, "wind": 5 * 1.13 % 40}
    assert link(found, "run").facts["args"] == {"count": 400}
    assert set(link(found, "run").facts["steps"]) == {"load", "fit"}
    assert set(link(found, "release").facts["stages"]) >= {"commit", "build", "test", "scan", "live"}


def test_every_link_names_the_entry_that_vouches_for_it(reading: House, delivered: Delivered) -> None:
    book = written(reading.site)

    found = trace(reading.site, delivered.predictions[700])

    for kind, entry_kind in KINDS.items():
        assert book[link(found, kind).entry].kind == entry_kind, kind
    assert book[link(found, "bundle").entry].facts()["bundle"] == link(found, "bundle").digest
    assert book[link(found, "model").entry].facts()["manifest"] == link(found, "model").digest
    assert book[link(found, "observation").entry].subject == f"segment:{link(found, 'observation').digest}"
    training, *frames = [one for one in found.links if one.kind == "data"]
    assert training.entry == link(found, "model").entry
    assert frames
    for one in frames:
        assert book[one.entry].kind == "snapshot.recorded"
        assert book[one.entry].subject == f"snapshot:{one.digest}"


def test_the_digests_of_the_line_are_blobs(reading: House, delivered: Delivered) -> None:
    found = trace(reading.site, delivered.predictions[0])

    for one in found.links:
        if one.digest and one.kind != "observation":
            assert reading.site.blobs.has(one.digest), one.title


def test_a_label_is_told(reading: House, delivered: Delivered) -> None:
    assert "what really happened: 1" in link(trace(reading.site, delivered.labelled), "observation").told
    assert "really" not in link(trace(reading.site, delivered.predictions[4]), "observation").told


def test_a_shadow_has_the_label_of_its_pair_and_a_key_that_of_its_flight(copied: Path, delivered: Delivered) -> None:
    with opened(copied) as open_:
        site = open_.site
        shadow = journaled(site, role="shadow", pair=[delivered.labelled])
        keyed = journaled(site, key=["UA 12"])
        known = site.clock.now_us() + 5
        late = labels.Label(value="late", known_us=known, key="UA 12")
        later = labels.Label(value="gone", known_us=known + 5, key="UA 12")
        site.db.write(lambda tx: labels.add(tx, site, "flights", [late, later]))

        beside = trace(site, shadow)
        told = link(trace(site, keyed), "observation")

    assert link(beside, "observation").facts["label"] == 1
    assert f"asked beside prediction {delivered.labelled}" in link(beside, "endpoint").told
    assert link(beside, "endpoint").facts["role"] == "shadow"
    assert told.facts["label"] == "late"


def test_a_prediction_that_is_not_sealed_yet_is_traced(copied: Path) -> None:
    with opened(copied) as open_:
        seen = link(trace(open_.site, journaled(open_.site)), "observation")

    assert seen.entry == 0
    assert seen.digest == ""
    assert "not sealed yet" in seen.facts["segment"]
    assert seen.facts["output"] == {"probability": 0.5, "label": 0}


def test_an_answer_that_was_an_error_is_traced(copied: Path) -> None:
    with opened(copied) as open_:
        failed = journaled(open_.site, status="error", error="the model raised ValueError", out={})
        seen = link(trace(open_.site, failed), "observation")

    assert "error (the model raised ValueError)" in seen.told
    assert seen.facts["output"] == {}


@pytest.mark.parametrize("prediction", ["nobody", "", "0190a3c2-7f3e-7cc1-9a31-6d1f0c9e2b11", "x" * 500])
def test_an_id_that_nobody_was_answered_with_is_not_found(reading: House, prediction: str) -> None:
    with pytest.raises(NotFound) as caught:
        trace(reading.site, prediction)

    assert caught.value.code == "prediction-not-found"


def test_a_release_that_is_not_known_is_not_found(copied: Path) -> None:
    with opened(copied) as open_, pytest.raises(NotFound) as caught:
        trace(open_.site, journaled(open_.site, release="flights/77"))

    assert caught.value.code == "release-not-found"


def test_a_tampered_segment_is_no_evidence(copied: Path, delivered: Delivered) -> None:
    for segment in (copied / ".ropewalk" / "capture" / "flights").glob("*.parquet"):
        data = bytearray(segment.read_bytes())
        data[len(data) // 2] ^= 1
        segment.write_bytes(bytes(data))

    with opened(copied) as open_, pytest.raises(Corrupt) as caught:
        trace(open_.site, delivered.predictions[9])

    assert caught.value.code == "segment-corrupt"
