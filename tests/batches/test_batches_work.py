"""A batch's output: whole or not there, every row once, in order, and what is set aside."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from batches.scored import begun, lines_aside, score
from endpoints.live import add_release, bundle_of
from endpoints.stand_in_worker import CRASH, FAIL, NOT_A_NUMBER
from ropewalk import leases
from ropewalk.batches import batch as batches
from ropewalk.batches import folder as folders
from ropewalk.batches.folder import folder_of
from ropewalk.batches.work import work
from ropewalk.errors import Conflict, Interrupted, Invalid, RopewalkError
from ropewalk.ledger.chain import Entry
from ropewalk.refs import digest_of_file
from ropewalk.site import Site

ROWS = 230


class Killed(BaseException):
    """What stands for kill -9: nothing catches it."""


def rows(count: int = ROWS) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "customer": [f"c{at:05d}" for at in range(count)],
            "x": [at % 19 / 4 for at in range(count)],
            "city": ["EWR" if at % 3 else None for at in range(count)],
        },
        schema={"customer": pl.String, "x": pl.Float64, "city": pl.String},
    )


def written(site: Site, frame: pl.DataFrame, name: str = "in.parquet") -> dict[str, Any]:
    path = site.root / name
    kinds = {".parquet": "write_parquet", ".csv": "write_csv", ".ndjson": "write_ndjson", ".json": "write_json"}
    getattr(frame, {**kinds, ".arrow": "write_ipc"}[path.suffix])(path)
    return {"file": name, "digest": digest_of_file(path)}


def entries(site: Site, found: batches.Batch) -> list[str]:
    with site.db.read() as reader:
        return [entry.kind for entry in reader.all(Entry, "ledger.of_subject", subject=found.subject)]


def test_every_row_comes_out_once_in_order_with_its_prediction_its_id_and_its_release(here: Site):
    frame = rows()
    done = score(here, written(here, frame))

    out = pl.read_parquet(here.root / "out.parquet")
    assert out["customer"].to_list() == frame["customer"].to_list()
    assert out["probability"].to_list() == [1 / (1 + math.exp(-x)) for x in frame["x"]]
    assert out.columns == ["customer", "x", "city", "probability", "label", "prediction_id", "release", "bundle"]
    assert (out["release"].unique().to_list(), out["bundle"].unique().to_list()) == (["flights/1"], [done.bundle])
    assert out["prediction_id"].n_unique() == ROWS
    with here.db.read() as reader:
        assert batches.of_prediction(reader, out["prediction_id"][137]) == (done, 137)
    assert (done.state, done.rows, done.scored, done.aside) == ("done", ROWS, ROWS, 0)
    assert done.output == digest_of_file(here.root / "out.parquet")
    assert entries(here, done) == ["batch.begun", "batch.done"]
    assert not list((here.hidden / "batches").iterdir())


@pytest.mark.parametrize("name", ["in.csv", "in.ndjson", "in.json", "in.arrow"])
def test_every_format_gives_the_same_bits_as_parquet(name: str, here: Site):
    score(here, written(here, rows()))
    expected = pl.read_parquet(here.root / "out.parquet")

    score(here, written(here, rows(), name), f"other{Path(name).suffix}")

    found = {
        ".csv": pl.read_csv, ".ndjson": pl.read_ndjson, ".json": pl.read_json, ".arrow": pl.read_ipc
    }[Path(name).suffix](here.root / f"other{Path(name).suffix}")  # fmt: skip
    assert found["probability"].to_list() == expected["probability"].to_list()
    assert found["customer"].to_list() == expected["customer"].to_list()
    assert set(found.columns) == set(expected.columns)


def test_no_rows_give_an_output_without_rows(here: Site):
    done = score(here, written(here, rows(0)))

    assert pl.read_parquet(here.root / "out.parquet").height == 0
    assert (done.state, done.rows) == ("done", 0)


def test_a_kill_at_any_write_loses_nothing_and_doubles_nothing(here: Site, monkeypatch: pytest.MonkeyPatch):
    frame = rows()
    frame[120, "x"] = None  # breaks the contract, so that both files of a part are written
    place = written(here, frame)
    settle = folders._settle
    left = [0]

    def dying(before: bool) -> Callable[[Path, Path], None]:
        def act(incoming: Path, path: Path) -> None:
            left[0] -= 1
            if before and left[0] < 0:
                raise Killed
            settle(incoming, path)
            if left[0] < 0:
                raise Killed

        return act

    kills = 0
    output = here.root / "out.parquet"
    for number in range(40):
        monkeypatch.setattr(leases, "boot_id", lambda number=number: f"boot {number}")
        monkeypatch.setattr(folders, "_settle", dying(bool(number % 2)))
        left[0] = number % 3
        try:
            done = score(here, place, policy="aside")
        except Killed:
            kills += 1
            assert not output.exists() or pl.read_parquet(output).height == ROWS - 1
            continue
        break

    out = pl.read_parquet(output)
    assert kills > 5
    assert out["customer"].to_list() == [one for at, one in enumerate(frame["customer"]) if at != 120]
    assert out["prediction_id"].n_unique() == ROWS - 1
    assert [json.loads(line)["row"] for line in lines_aside(here, done)] == [121]
    assert entries(here, done) == ["batch.begun", "batch.done"]
    assert sorted(path.name for path in here.root.iterdir() if "out" in path.name) == [
        "out.aside.ndjson",
        "out.parquet",
    ]


def test_what_is_scored_already_is_not_scored_again(here: Site, monkeypatch: pytest.MonkeyPatch):
    place, seen = written(here, rows()), list[int]()

    def stop(now: batches.Batch) -> None:
        if now.scored >= 100:
            raise Killed

    with pytest.raises(Killed):
        work(here, begun(here, place), policy="stop", on_progress=stop)
    parts = sorted(folder_of(here, begun(here, place).id).glob("part-*.parquet"))
    parts[0].write_bytes(b"torn by a bad disk")  # is scored again, and no other
    monkeypatch.setattr(leases, "boot_id", lambda: "another boot")
    done = work(here, begun(here, place), policy="stop", on_progress=lambda now: seen.append(now.scored))

    assert seen == [100, 100, 150, 200, ROWS]
    assert done.state == "done"
    assert pl.read_parquet(here.root / "out.parquet")["customer"].to_list() == rows()["customer"].to_list()


def test_a_bad_row_stops_the_batch_and_is_named_and_what_was_scored_serves_the_next_try(here: Site):
    frame = rows()
    frame[120, "x"] = None
    place = written(here, frame)

    with pytest.raises(Invalid) as refused:
        score(here, place)
    assert (refused.value.code, refused.value.where) == ("batch-row-refused", "row 121")
    assert "'x' is empty; wants a number" in refused.value.why
    assert not (here.root / "out.parquet").exists()
    failed = begun(here, place)
    assert (failed.state, failed.scored) == ("failed", 100)

    done = work(here, failed, policy="aside")
    assert (done.id, done.state, done.aside) == (failed.id, "done", 1)
    assert entries(here, done) == ["batch.begun", "batch.failed", "batch.done"]


def test_rows_are_set_aside_with_the_reason_whoever_refuses_them(here: Site):
    lines = [json.dumps({"customer": at, "x": at / 10, "city": None}) for at in range(20)]
    lines[3] = "no JSON"
    lines[5] = json.dumps({"customer": 5, "city": "EWR"})
    lines[7] = json.dumps({"customer": 7, "x": FAIL})
    lines[9] = json.dumps({"customer": 9, "x": NOT_A_NUMBER})
    lines[11] = json.dumps({"customer": 11, "x": CRASH})
    (here.root / "in.ndjson").write_text("\n".join(lines) + "\n")

    done = score(here, {"file": "in.ndjson", "digest": ""}, policy="aside")

    aside = [json.loads(line) for line in lines_aside(here, done)]
    assert [(one["row"], one["code"]) for one in aside] == [
        (4, "row-unread"),
        (6, "contract-broken"),
        (8, "model-failed"),
        (10, "output-invalid"),
        (12, "worker-died"),
    ]
    assert aside[1]["field"] == "x"
    assert aside[2]["record"] == {"x": FAIL}
    out = pl.read_parquet(here.root / "out.parquet")
    assert out["customer"].to_list() == [at for at in range(20) if at not in {3, 5, 7, 9, 11}]


def test_rows_that_changed_under_way_are_not_mixed(here: Site, monkeypatch: pytest.MonkeyPatch):
    place = written(here, rows())
    found = begun(here, place)

    def stop(now: batches.Batch) -> None:
        if now.scored:
            raise Killed

    with pytest.raises(Killed):
        work(here, found, policy="stop", on_progress=stop)
    written(here, rows().reverse())
    monkeypatch.setattr(leases, "boot_id", lambda: "another boot")
    with pytest.raises(Conflict) as refused:
        work(here, found, policy="stop")

    assert refused.value.code == "batch-source-changed"
    assert not (here.root / "out.parquet").exists()


def test_a_file_that_changes_while_it_is_read_gives_no_output(here: Site):
    place = written(here, rows())

    def change(now: batches.Batch) -> None:
        if now.scored == 100:
            written(here, rows().with_columns(pl.col("x") + 1.0))

    with pytest.raises(Conflict) as refused:
        work(here, begun(here, place), policy="stop", on_progress=change)

    assert refused.value.code == "batch-source-changed"
    assert not (here.root / "out.parquet").exists()


def test_one_process_at_a_time_works_on_a_batch_and_a_cancelled_one_ends(here: Site):
    place = written(here, rows())
    found = begun(here, place)

    def meddle(now: batches.Batch) -> None:
        if now.scored == 50:
            with pytest.raises(Conflict, match="Somebody works"):
                work(here, now, policy="stop")
            here.db.write(lambda tx: batches.cancel(tx, here, now))

    with pytest.raises(Interrupted, match="cancelled"):
        work(here, found, policy="stop", on_progress=meddle)

    with here.db.read() as reader:
        over = batches.get(reader, found.id)
        assert batches.parts(reader, found.id) == []
    assert (over.state, entries(here, over)) == ("cancelled", ["batch.begun", "batch.cancelled"])
    assert not (here.root / "out.parquet").exists()
    with pytest.raises(Conflict, match="is over"):
        here.db.write(lambda tx: batches.cancel(tx, here, over))


def test_columns_that_are_missing_or_taken_are_named_before_anything_is_scored(here: Site):
    with pytest.raises(Invalid, match="lack columns") as lacking:
        score(here, written(here, rows().drop("x")))
    with pytest.raises(Conflict) as taken:
        score(here, written(here, rows().with_columns(release=pl.lit(1), label=pl.lit(1)), "b.parquet"))

    assert "missing: x" in lacking.value.why
    assert "label, release" in taken.value.why


def test_a_broken_file_is_refused_as_what_it_is(here: Site):
    (here.root / "in.parquet").write_bytes(b"PAR1 nothing")
    (here.root / "in.csv").write_text("x,x\n1,2\n")
    for name in ("in.parquet", "in.csv"):
        with pytest.raises(RopewalkError) as refused:
            score(here, {"file": name, "digest": ""})
        assert refused.value.code == "data-file-broken"


def test_a_batch_whose_release_is_another_one_is_another_batch(here: Site):
    place = written(here, rows(3))
    first = begun(here, place)
    add_release(here, 2, bundle_of(here, 2))

    assert batches.key_of(place, "flights/2", first.bundle, first.target) != first.key
