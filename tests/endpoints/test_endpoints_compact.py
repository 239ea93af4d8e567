from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from endpoints.captured import batch, fill, sealed
from ropewalk.endpoints import capture, compact
from ropewalk.endpoints.capture import Behind, Capture
from ropewalk.endpoints.making import reading
from ropewalk.endpoints.segment import FOLDER, all_segments, folder_of
from ropewalk.evidence.verify import verify
from ropewalk.ledger.chain import entries
from ropewalk.loops.compact import Compact
from ropewalk.site import Site
from ropewalk.testing.fakes import SetClock


def segments_of(site: Site) -> list[str]:
    with site.db.read() as reader:
        return [one.path for one in all_segments(reader)]


def files_of(site: Site) -> list[str]:
    return sorted(file.name for file in folder_of(site, "flights").glob("*.parquet"))


def kinds(site: Site) -> list[str]:
    with site.db.read() as reader:
        return [one.kind for one in entries(reader)]


def test_a_day_that_is_over_becomes_one_file_with_every_row_once(site: Site, clock: SetClock) -> None:
    ids = fill(site, clock, days=2, segments=5, rows=3)
    clock.advance(3 * 86_400)

    while compact.compact(site, "flights"):
        pass

    assert len(segments_of(site)) == 2
    assert capture.read(site, "flights")["id"].to_list() == sorted(ids)
    assert verify(site).findings == ()


def test_what_was_merged_is_named_by_the_ledger_and_found_by_id(site: Site, clock: SetClock) -> None:
    ids = fill(site, clock, days=1, segments=3, rows=2)
    with site.db.read() as reader:
        parts = [one.digest for one in all_segments(reader)]
    clock.advance(3 * 86_400)

    merged = compact.compact(site, "flights")

    assert merged is not None
    with site.db.read() as reader:
        said = [one.facts() for one in entries(reader) if one.kind == "segment.compacted"]
    assert [(one["digest"], sorted(one["parts"])) for one in said] == [(merged.digest, sorted(parts))]
    found = capture.find(site, ids[3])
    assert found is not None
    assert found["id"] == ids[3]


def test_a_day_that_goes_on_is_merged_only_when_a_level_is_full(
    site: Site, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compact, "PARTS_MIN", 4)
    ids = fill(site, clock, days=1, segments=3, rows=1)
    clock.advance(120)
    assert compact.compact(site, "flights") is None

    ids += fill(site, clock, days=1, segments=1, rows=1)
    clock.advance(120)
    assert compact.compact(site, "flights") is not None

    assert [path.rpartition("-")[2] for path in segments_of(site)] == ["m1.parquet"]
    assert capture.read(site, "flights")["id"].to_list() == sorted(ids)


def test_files_that_were_merged_go_when_nobody_reads(site: Site, clock: SetClock) -> None:
    fill(site, clock, days=1, segments=3, rows=1)
    clock.advance(3 * 86_400)
    loop = Compact(site)

    with reading(site):
        loop.turn()
        while_read = len(files_of(site))
    assert verify(site).findings == ()
    loop.turn()

    assert (while_read, len(files_of(site))) == (4, 1)
    assert verify(site).findings == ()


def test_columns_of_other_types_are_not_mixed(site: Site, clock: SetClock) -> None:
    at = clock.now_us()
    for number, x in enumerate(([1], [2], [0.5], [None])):
        sealed(site, batch(at + number, x))
    clock.advance(3 * 86_400)

    while compact.compact(site, "flights"):
        pass

    with site.db.read() as reader:
        kept = [pl.read_parquet(site.hidden / FOLDER / one.path)["in.x"] for one in all_segments(reader)]
    assert sorted((str(one.dtype), one.to_list()) for one in kept) == [("Float64", [0.5, None]), ("Int64", [1, 2])]


def test_rows_that_are_too_old_are_forgotten_with_an_entry(site: Site, clock: SetClock) -> None:
    fill(site, clock, days=1, segments=2, rows=1)
    clock.advance(10 * 86_400)
    young = fill(site, clock, days=1, segments=1, rows=1)

    Compact(site, keep_days=5).turn()

    assert capture.read(site, "flights")["id"].to_list() == young
    assert kinds(site).count("segment.forgotten") == 1  # the two were merged before they were forgotten
    assert len(files_of(site)) == 1
    assert verify(site).findings == ()


def test_nothing_is_forgotten_that_a_running_canary_is_judged_by(site: Site, clock: SetClock) -> None:
    began = clock.now_us()
    fill(site, clock, days=1, segments=2, rows=1)
    clock.advance(10 * 86_400)

    assert compact.forget(site, 5, since_us=began) == 0
    assert compact.forget(site, 5) == 2


def test_what_must_stay_is_not_merged(site: Site, clock: SetClock) -> None:
    fill(site, clock, days=1, segments=3, rows=1)
    clock.advance(3 * 86_400)

    assert compact.compact(site, "flights", held=lambda _reader, _one: True) is None


def test_a_segment_that_is_missing_is_left_and_told(site: Site, clock: SetClock) -> None:
    fill(site, clock, days=1, segments=2, rows=1)
    (folder_of(site, "flights") / files_of(site)[0]).unlink()
    clock.advance(3 * 86_400)

    assert compact.compact(site, "flights") is None
    assert any("gone" in one.why for one in verify(site).findings)


def test_a_store_that_is_slow_bounds_what_waits_and_nothing_is_dropped(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, closed = capture.seal, [True]

    def slow(*given: object) -> object:
        if closed[0]:
            raise OSError(5, "slow")
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(capture, "seal", slow)
    made = Capture(site, seal_rows=1, waiting_max=3)
    kept = 0
    for number in range(3):
        made.write("flights", batch(1000 + number, [1.0]), 1)
        kept += 1

    with pytest.raises(Behind, match="wait to be sealed"):
        made.write("flights", batch(2000, [1.0]), 1)
    made.write("others", batch(2000, [1.0]), 1)
    refused = made.refused_rows
    closed[0] = False
    made._seal_all()
    made.write("flights", batch(3000, [1.0]), 1)
    made.close()
    made._seal_all()

    assert (kept, refused, made.refused_rows) == (3, 1, 1)
    assert capture.read(site, "flights").height == 4
    said = {name: values for name, _, values in made.gauges()}
    assert said["ropewalk_capture_rows"] == {("", ""): 5.0}
    assert said["ropewalk_capture_refused_rows"] == {("", ""): 1.0}


def test_while_nothing_can_be_sealed_small_journals_do_not_pile_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> object:
        raise OSError(5, "away")

    monkeypatch.setattr(capture, "seal", never)
    made = Capture(site, waiting_max=3)
    for number in range(10):
        made.write("flights", batch(1000 + number, [1.0]), 1)
        made._seal_all()

    assert made.refused_rows == 0
    assert capture.read(site, "flights").height == 10


def test_a_copy_of_the_folder_that_cannot_be_written_is_read(site: Site, clock: SetClock, tmp_path: Path) -> None:
    ids = fill(site, clock, days=1, segments=1, rows=2)

    with reading(replace(site, root=tmp_path / "nowhere")):
        assert capture.read(site, "flights")["id"].to_list() == ids
