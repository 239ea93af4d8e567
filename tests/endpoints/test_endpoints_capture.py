from __future__ import annotations

import fcntl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ropewalk.endpoints import capture
from ropewalk.endpoints.capture import Capture
from ropewalk.endpoints.journal import Journal, left_behind, read_journal
from ropewalk.endpoints.segment import all_segments, folder_of, seal
from ropewalk.errors import Corrupt, NotFound
from ropewalk.ledger.chain import entries
from ropewalk.refs import uuid7
from ropewalk.site import Site
from ropewalk.testing.fakes import SetClock


def batch(at_us: int, xs: list[float | None], **more: Any) -> dict[str, Any]:
    rows = len(xs)
    return {
        "id": [uuid7(at_us + at) for at in range(rows)],
        "at_us": [at_us + at for at in range(rows)],
        "event_us": [at_us - 1000] * rows,
        "endpoint": "flights",
        "release": "flights/1",
        "role": ["champion"] * rows,
        "pair": [None] * rows,
        "key": [None] * rows,
        "status": ["ok"] * rows,
        "error": "",
        "latency_us": [5] * rows,
        "generation": [1] * rows,
        "warnings": [0] * rows,
        "in": {"x": xs},
        "out": {"probability": [0.5] * rows},
        **more,
    }


def until(met: Callable[[], bool]) -> None:
    for _ in range(1000):
        if met():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it did not become so")


def filled(folder: Path, *frames: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    journal = Journal(folder / f"{frames[0]['id'][0]}.journal")
    for frame in frames:
        journal.append(frame, len(frame["id"]))
    journal.close()
    return journal.path


def test_a_journal_gives_back_what_was_written(tmp_path: Path) -> None:
    path = filled(tmp_path, batch(10, [1.0]), batch(20, [None, 2.0]))

    contents = read_journal(path)

    assert [frame["in"]["x"] for frame in contents.frames] == [[1.0], [None, 2.0]]
    assert (contents.whole, contents.damaged) == (True, False)


def test_a_tail_that_was_torn_anywhere_costs_only_itself(tmp_path: Path) -> None:
    path = filled(tmp_path, batch(10, [1.0]), batch(20, [2.0]))
    data = path.read_bytes()
    first = 8 + int.from_bytes(data[:4])

    for cut in range(first, len(data)):
        path.write_bytes(data[:cut])
        contents = read_journal(path)
        assert (len(contents.frames), contents.damaged) == (1, False)


def test_a_flipped_byte_is_noticed(tmp_path: Path) -> None:
    path = filled(tmp_path, batch(10, [1.0]))
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.write_bytes(data)

    assert read_journal(path).damaged


def test_a_journal_that_is_written_is_nobody_elses(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a.journal")
    assert list(left_behind(tmp_path)) == []

    journal.close()

    assert list(left_behind(tmp_path)) == [tmp_path / "a.journal"]


def test_a_gateway_that_starts_while_another_opens_a_journal_leaves_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(site, "flights")
    folder.mkdir(parents=True)
    lock, starts = fcntl.flock, iter([lambda: capture.recover(site)])

    def late(handle: int, how: int) -> None:
        for start in starts:
            start()
        lock(handle, how)

    monkeypatch.setattr(fcntl, "flock", late)
    journal = Journal(folder / "a.journal")
    journal.append(batch(1, [1.0]), 1)
    journal.close()

    assert len(read_journal(folder / "a.journal").frames) == 1


def test_sealing_writes_segment_row_and_ledger_entry_once(site: Site) -> None:
    path = filled(folder_of(site, "flights"), batch(10, [1.0, 2.0]))
    data = path.read_bytes()

    segment = seal(site, "flights", path)
    path.write_bytes(data)  # as if it had been killed between the row and the journal's end
    again = seal(site, "flights", path)

    assert segment is not None
    assert (segment.rows, segment.first_us, segment.last_us) == (2, 10, 11)
    assert again is None
    assert not path.exists()
    with site.db.read() as reader:
        assert [one.digest for one in all_segments(reader)] == [segment.digest]
        assert [(one.kind, one.subject) for one in entries(reader)] == [("segment.sealed", f"segment:{segment.digest}")]


def test_a_row_is_read_once_whether_sealed_or_not(site: Site) -> None:
    folder = folder_of(site, "flights")
    seal(site, "flights", filled(folder, batch(1000, [1.0, 2.0])))
    sealed = filled(folder, batch(2000, [3.0]))
    data = sealed.read_bytes()
    seal(site, "flights", sealed)
    sealed.write_bytes(data)
    filled(folder, batch(3000, [4.0]))

    rows = capture.read(site, "flights")

    assert rows["in.x"].to_list() == [1.0, 2.0, 3.0, 4.0]
    assert rows["id"].is_sorted()


def test_reads_by_time_event_time_release_and_column(site: Site) -> None:
    folder = folder_of(site, "flights")
    seal(site, "flights", filled(folder, batch(5000, [1.0, 2.0])))
    filled(folder, batch(9000, [3.0], release="flights/2"))

    assert capture.read(site, "flights", since_us=5001)["in.x"].to_list() == [2.0, 3.0]
    assert capture.read(site, "flights", until_us=5001)["in.x"].to_list() == [1.0]
    assert capture.read(site, "flights", event_since_us=8000)["in.x"].to_list() == [3.0]
    assert capture.read(site, "flights", event_until_us=8000)["in.x"].to_list() == [1.0, 2.0]
    assert capture.read(site, "flights", release="flights/2")["in.x"].to_list() == [3.0]
    assert capture.read(site, "flights", columns=("in.x", "in.unknown")).columns == ["in.x"]
    assert capture.read(site, "trains").height == 0


def test_releases_with_other_columns_lie_side_by_side(site: Site) -> None:
    other = batch(20, [0.0], release="flights/2")
    other["in"] = {"x": ["a"], "wind": [3]}
    failed = batch(30, [5.0], status=["error"], error="worker-died: it ended")
    failed["out"] = {}
    path = filled(folder_of(site, "flights"), batch(10, [1.0]), other, failed)

    seal(site, "flights", path)

    rows = capture.read(site, "flights")
    assert rows["in.wind"].to_list() == [None, 3, None]
    assert rows["in.x"].to_list() == ["1.0", "a", "5.0"]
    assert rows["out.probability"].to_list() == [0.5, 0.5, None]


def test_finds_one_prediction_sealed_or_not(site: Site) -> None:
    folder = folder_of(site, "flights")
    first, second = batch(10, [1.0, 2.0]), batch(20, [3.0])
    seal(site, "flights", filled(folder, first))
    filled(folder, second)

    found = capture.find(site, first["id"][1])
    fresh = capture.find(site, second["id"][0])

    assert found is not None
    assert fresh is not None
    assert (found["in.x"], fresh["in.x"]) == (2.0, 3.0)
    assert capture.find(site, uuid7(15)) is None


def test_a_found_prediction_has_its_empty_inputs_and_no_columns_of_other_releases(site: Site) -> None:
    first = batch(10, [1.0, None])
    other = batch(20, [0.0], release="flights/2", **{"in": {"wind": [3]}})
    seal(site, "flights", filled(folder_of(site, "flights"), first, other))

    found = capture.find(site, first["id"][1])
    wind = capture.find(site, other["id"][0])

    assert found is not None
    assert wind is not None
    assert found["in.x"] is None
    assert "in.x" in found
    assert "in.wind" not in found
    assert {name for name in wind if name.startswith("in.")} == {"in.wind"}


@pytest.mark.parametrize("at", [0, 4, 100, -1])
def test_a_flipped_byte_of_a_segment_is_never_read(site: Site, at: int) -> None:
    first = batch(10, [1.0, 2.0])
    segment = seal(site, "flights", filled(folder_of(site, "flights"), first))
    assert segment is not None
    path = site.hidden / "capture" / segment.path
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)

    with pytest.raises(Corrupt, match="no longer holds"):
        capture.read(site, "flights")
    with pytest.raises(Corrupt):
        capture.find(site, first["id"][0])
    path.unlink()
    with pytest.raises(NotFound):
        capture.read(site, "flights")


def test_a_damaged_journal_keeps_its_good_rows_and_is_put_aside(site: Site) -> None:
    folder = folder_of(site, "flights")
    path = filled(folder, batch(10, [1.0]), batch(20, [2.0]))
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)

    capture.recover(site)

    assert capture.read(site, "flights")["in.x"].to_list() == [1.0]
    assert [one.name for one in folder.glob("*.damaged")] == [path.with_suffix(".damaged").name]


def test_a_journal_that_cannot_be_sealed_does_not_hold_up_the_others(site: Site) -> None:
    folder = folder_of(site, "flights")
    wrong = filled(folder, batch(10, [1.0], latency_us=["soon"]))
    filled(folder, batch(20, [2.0]))

    sealed = capture.recover(site)

    assert [one.rows for one in sealed] == [1]
    assert wrong.exists()


def test_seals_by_itself_when_a_journal_is_full_and_when_it_closes(site: Site, clock: SetClock) -> None:
    writer = Capture(site, seal_seconds=60, seal_rows=3)
    writer.start()

    writer.write("flights", batch(10, [1.0, 2.0, 3.0]), 3)
    until(lambda: writer.sealed_rows == 3)
    writer.write("flights", batch(20, [4.0]), 1)
    before = writer.sealed_rows
    writer.close()

    assert (before, writer.sealed_rows) == (3, 4)
    assert capture.read(site, "flights")["in.x"].to_list() == [1.0, 2.0, 3.0, 4.0]


def test_what_cannot_be_sealed_waits_in_its_journal_and_is_tried_again(site: Site) -> None:
    writer = Capture(site, seal_seconds=0.02)
    writer.write("flights", batch(10, [1.0]), 1)
    (journal,) = folder_of(site, "flights").glob("*.journal")
    in_the_way = journal.with_suffix(".parquet")
    in_the_way.mkdir()
    writer.start()

    until(lambda: writer.problem is not None)
    kept = capture.read(site, "flights").height
    in_the_way.rmdir()
    until(lambda: writer.sealed_rows == 1)
    writer.close()

    assert kept == 1
    assert writer.problem is None
    assert not journal.exists()


def test_many_types_survive_the_way_through_parquet(site: Site) -> None:
    frame = batch(10, [1.0, None])
    frame["in"] = {"n": [1, None], "s": ["ä", None], "b": [True, None], "big": [2**62, -(2**63)], "none": [None, None]}

    seal(site, "flights", filled(folder_of(site, "flights"), frame))

    rows = capture.read(site, "flights")
    assert {name: rows[f"in.{name}"].to_list() for name in frame["in"]} == frame["in"]
    assert rows.schema["in.n"] == pl.Int64
