"""Snapshots say which step of which run saw which rows, and what they were made from."""

import polars as pl
import pytest

from ropewalk.data import frames, snapshot
from ropewalk.errors import Conflict, NotFound
from ropewalk.ledger.chain import entries


def put(site, *values):
    return frames.write(site.blobs, pl.DataFrame({"a": list(values)}))


def keep(site, ref, *, run="r1", node="load", name="rows", parents=()):
    return site.db.write(lambda tx: snapshot.record(tx, site, ref, name=name, run_id=run, node=node, parents=parents))


def test_a_snapshot_tells_what_it_is(site):
    ref = put(site, 1, 2)
    kept = keep(site, ref)

    with site.db.read() as rows:
        assert snapshot.get(rows, ref.digest) == kept
        assert snapshot.of_run(rows, "r1") == (kept,)
        (entry,) = entries(rows)
    assert kept.types() == (("a", "Int64"),)
    assert (kept.rows, kept.columns, kept.bytes, kept.at_us) == (2, 1, ref.bytes, site.clock.now_us())
    assert (entry.kind, entry.subject) == ("snapshot.recorded", f"snapshot:{ref.digest}")


def test_recording_the_same_again_changes_nothing(site):
    ref = put(site, 1)
    first = keep(site, ref)
    site.clock.advance(5)

    assert keep(site, ref) == first
    with site.db.read() as rows:
        assert len(list(entries(rows))) == 1


def test_another_frame_under_the_same_name_of_the_same_step_is_refused(site):
    keep(site, put(site, 1))

    with pytest.raises(Conflict) as caught:
        keep(site, put(site, 2))

    assert caught.value.code == "snapshot-changed"
    with site.db.read() as rows:
        assert len(snapshot.of_run(rows, "r1")) == 1


def test_the_same_rows_in_two_runs_are_one_content_with_two_records(site):
    ref = put(site, 1)
    keep(site, ref)
    keep(site, ref, run="r2")

    with site.db.read() as rows:
        assert [item.run_id for item in snapshot.of_digest(rows, ref.digest)] == ["r1", "r2"]
        assert len(snapshot.newest(rows)) == 2


def test_a_frame_whose_bytes_are_not_there_is_not_recorded(site):
    ref = put(site, 1)
    site.blobs.remove(ref.digest)

    with pytest.raises(NotFound):
        keep(site, ref)


def test_lineage_goes_up_and_down_through_every_step_even_in_a_ring(site):
    raw, weather, joined, train = (put(site, n) for n in range(4))
    keep(site, raw, name="raw")
    keep(site, weather, name="weather")
    keep(site, joined, node="join", parents=[raw.digest, weather.digest, raw.digest])
    keep(site, train, node="split", parents=[joined.digest])
    keep(site, joined, node="again", parents=[train.digest, joined.digest])

    with site.db.read() as rows:
        up = {(edge.digest, edge.parent) for edge in snapshot.lineage(rows, train.digest)}
        down = {edge.digest for edge in snapshot.offspring(rows, weather.digest)}
        assert snapshot.lineage(rows, raw.digest) == ()
    assert up == {
        (train.digest, joined.digest),
        (joined.digest, raw.digest),
        (joined.digest, weather.digest),
        (joined.digest, train.digest),
    }
    assert down == {joined.digest, train.digest}


def test_a_frame_that_nobody_recorded_is_not_found(site):
    with site.db.read() as rows, pytest.raises(NotFound) as caught:
        snapshot.get(rows, "sha256:" + "0" * 64)

    assert caught.value.code == "snapshot-not-found"
