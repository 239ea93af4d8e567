"""Batches in the console: asked for by a form, followed, ended, their files taken away."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import polars as pl
import pytest

from api.asked import Asked
from batches.scored import begun, score
from batches.test_batches_work import rows, written
from console.pressing import Pressed
from ropewalk.batches.work import work
from ropewalk.site import Site


@pytest.fixture
def one(here: Site) -> Iterator[Pressed]:
    asked = Asked(here)
    yield Pressed(asked=asked)
    asked.close()


def page(one: Pressed, path: str) -> str:
    answer = one.look(path)
    assert answer.status == 200, (path, answer.body[:2000])
    return answer.body.decode()


def test_a_batch_is_asked_for_once_and_ended_by_forms(one: Pressed, here: Site):
    assert "ropewalk batch customers.parquet" in page(one, "/batches")
    assert ">flights</option>" in page(one, "/batches/do/score")
    fields = {"sure": "1", "endpoint": "flights", "artifact": "in/a.csv", "errors": "aside", "once": "a" * 32}

    first, again = one.press("/batches/do/score", **fields), one.press("/batches/do/score", **fields)
    neither = one.press("/batches/do/score", sure="1", endpoint="flights")
    nobody = one.press("/batches/do/score", sure="1", artifact="in/a.csv", release="flights/9")
    place = first.headers["location"].partition("#")[0]

    assert first.headers["location"] == again.headers["location"]
    shown = one.follow(first)
    assert "The batch waits for its turn." in shown
    assert "in/a.csv" in shown
    assert "not looked at yet" in shown
    assert (neither.status, nobody.status) == (400, 404)
    assert "A batch takes an artifact or a snapshot." in neither.body.decode()
    assert page(one, "/batches").count('id="batch-') == 1
    assert "What was scored goes away" in page(one, f"{place}/do/cancel")
    assert "The batch is cancelled." in one.follow(one.press(f"{place}/do/cancel", sure="1"))
    assert one.press(f"{place}/do/cancel", sure="1").status == 409
    assert f"{place}/do/cancel" not in page(one, place)
    assert one.look("/batches/nobody").status == 404


def test_what_came_out_is_shown_and_taken_away(one: Pressed, here: Site):
    lines = "".join(json.dumps({"id": row, "x": float(row), "city": "<b>"}) + "\n" for row in range(3))
    (here.root / "in.ndjson").write_text(lines + "no JSON\n")
    made = begun(here, {"file": "in.ndjson"}, "", policy="aside")

    done = work(here, made, policy="aside")
    whole = page(one, f"/batches/{made.id}")
    out = one.look(f"/batches/{made.id}/output")
    aside = one.look(f"/batches/{made.id}/aside")

    assert (done.state, done.aside) == ("done", 1)
    assert "4 of 4" in whole
    assert "1 set aside" in whole
    assert "row-unread" in whole
    assert "data-over" in whole
    assert pl.read_parquet(io.BytesIO(out.body)).height == 3
    assert json.loads(aside.body)["row"] == 4
    assert done.output in whole


def test_one_of_the_command_line_is_shown_without_files(one: Pressed, here: Site):
    done = score(here, written(here, rows(3)))

    assert "out.parquet" in page(one, f"/batches/{done.id}")
    assert f"/batches/{done.id}/output" not in page(one, f"/batches/{done.id}")
    assert one.look(f"/batches/{done.id}/output").status == 404


def test_older_ones_are_pages_on(one: Pressed, here: Site):
    made = [begun(here, {"artifact": f"in/{number}.csv"}, "").id for number in range(51)]

    first = page(one, "/batches")
    second = page(one, f"/batches?after={made[1]}")

    assert first.count('id="batch-') == 50
    assert f'href="/batches?after={made[1]}"' in first
    assert second.count('id="batch-') == 1
    assert f"/batches/{made[0]}" in second
    assert "There are no older ones." in page(one, f"/batches?after={made[0]}")
