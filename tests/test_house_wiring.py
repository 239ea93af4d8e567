"""What the house hands to the rooms: an open project, doors for a delivery, a retraining in a process of its own."""

from __future__ import annotations

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest

from ropewalk import house
from ropewalk.errors import Interrupted, Invalid, NotFound, RopewalkError
from ropewalk.house import House, open_house
from ropewalk.leases import take
from ropewalk.ledger.head import read_head
from ropewalk.ledger.sign import Checker
from ropewalk.loops.apart import run_apart
from ropewalk.models import versions
from ropewalk.releases import release
from ropewalk.runs import run as runs
from ropewalk.runs import search
from ropewalk.schedules import fire as fires
from ropewalk.schedules.declared import renewed
from ropewalk.schedules.fire import Cause, Fire
from ropewalk.site import HIDDEN
from ropewalk.testing.fakes import SetClock

PIPELINE = """
from ropewalk import pipeline, step

@step
def one(n: int) -> int:
    if n < 0:
        raise ValueError("below zero")
    return n

@pipeline
def train(n: int = 1) -> int:
    return one(n)
"""


def scheduled_project(root: Path, value: object, name: str = "n") -> Path:
    (root / "pipeline.py").write_text(PIPELINE)
    table = f'[[schedules]]\nname = "nightly"\ncron = "0 6 * * *"\nargs = {{ {name} = {json.dumps(value)} }}\n'
    (root / "ropewalk.toml").write_text(f'name = "little"\n{table}')
    return root


def taken(home: House) -> Fire:
    """Return a start of the project's schedule that this process has claimed."""
    site = home.site
    (one,) = renewed(site, home.settings)
    cause = Cause(key="manual 1", cause="manual", due_us=site.clock.now_us(), actor="schedule:nightly")
    made = site.db.write(lambda tx: fires.add(tx, site, one.name, cause, one.said.args))
    assert made is not None
    lease = take(site.clock.now_us(), 0)
    return site.db.write(lambda tx: fires.claim(tx, made, lease, site.clock.now_us()))


def test_a_folder_without_records_is_not_made_a_project_by_looking(tmp_path):
    with pytest.raises(NotFound) as caught, open_house(tmp_path, create=False):
        pass

    assert (caught.value.code, caught.value.fix) == ("project-empty", "ropewalk init")
    assert list(tmp_path.iterdir()) == []


def test_a_project_with_a_pipeline_and_no_records_is_told_to_run(tmp_path):
    (tmp_path / "pipeline.py").write_text(PIPELINE)

    with pytest.raises(NotFound) as caught, open_house(tmp_path, create=False):
        pass

    assert caught.value.fix == "ropewalk run"


def test_leaving_the_house_writes_the_signed_head_and_closes_the_store(tmp_path):
    with open_house(tmp_path, clock=SetClock()) as home:
        home.site.db.write(lambda tx: home.site.record(tx, "test.said", "run:1", {"n": 1}))
        assert not (tmp_path / HIDDEN / "ledger.head").exists()
        public = home.site.signer.public

    head = read_head(tmp_path / HIDDEN, Checker(public))
    assert head is not None
    assert head[0] == 1
    with pytest.raises(RopewalkError, match="closed"):
        home.site.db.write(lambda tx: None)


def test_the_head_is_written_when_a_command_fails_too(tmp_path):
    def command() -> None:
        with open_house(tmp_path) as home:
            home.site.db.write(lambda tx: home.site.record(tx, "test.said", "run:1", {}))
            raise KeyError

    with pytest.raises(KeyError):
        command()

    assert (tmp_path / HIDDEN / "ledger.head").exists()


def test_the_model_that_a_step_logged_is_a_version_of_the_run_that_finished(shipped):
    with open_house(shipped, create=False) as home, home.site.db.read() as rows:
        found = versions.latest(rows, "churn")
        assert found is not None
        made = runs.get(rows, found.run_id)

    assert (made.name, made.state, found.ref) == ("train-1", "finished", "churn/1")


def test_the_doors_score_serve_and_recall_what_was_asked(shipped):
    import urllib.request

    import polars as pl

    from ropewalk.endpoints.served import read_served

    with open_house(shipped, create=False) as home:
        doors = house.doors(home)
        with home.site.db.read() as rows:
            bundle = release.get(rows, "churn/1").bundle
        row = read_served(home.site.blobs, "churn/1", bundle, "production").example

        scored = doors.predict(bundle, pl.DataFrame([row]))
        nothing = doors.recorded("churn", 10)
        with doors.serve(bundle, "staging") as url:
            asked = urllib.request.Request(
                f"{url.rstrip('/')}/endpoints/churn/predict",
                data=json.dumps({"records": [row]}).encode(),
                headers={"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(asked, timeout=10) as answer:
                served = json.loads(answer.read())["predictions"][0]

    assert scored["probability"][0] == served["probability"]
    assert nothing.height == 0


def test_an_unknown_environment_or_version_makes_no_release(shipped):
    with open_house(shipped, create=False) as home:
        with pytest.raises(Invalid, match="no environment 'prodution'"):
            house.ship(home, environment="prodution", on_progress=print)
        with pytest.raises(NotFound, match="no such model version"):
            house.ship(home, model="churn/99", on_progress=print)
        with home.site.db.read() as rows:
            assert [one.id for one in release.listed(rows)] == ["churn/1"]


LOOPS = ["climb", "watch", "batches", "schedule", "rescue", "sweep", "tidy", "compact", "tend", "deliver"]


def test_the_loops_are_made_and_none_is_started(shipped):
    with open_house(shipped, create=False) as home:
        made = house.loops(home)

    assert [loop.name for loop in made] == LOOPS


def test_a_start_runs_in_a_process_of_its_own_and_ends_with_its_run(tmp_path):
    with open_house(scheduled_project(tmp_path, 3)) as home:
        one = taken(home)
        found = run_apart(home.site, "pipeline.py:train", one, threading.Event())
        with home.site.db.read() as rows:
            made = runs.get(rows, found)
            noted = fires.get(rows, one.id)
            tags = search.summarize(rows, made).tags

    assert (made.state, made.arguments()) == ("finished", {"n": 3})
    assert (noted.state, noted.run) == (fires.DONE, found)
    assert (tags[fires.SCHEDULE_TAG], tags[fires.CAUSE_TAG]) == ("nightly", "manual")
    assert made.user_name == "schedule:nightly"


def test_a_start_that_fails_says_what_its_own_step_said(tmp_path):
    with open_house(scheduled_project(tmp_path, -1)) as home, pytest.raises(RopewalkError) as caught:
        run_apart(home.site, "pipeline.py:train", taken(home), threading.Event())

    assert caught.value.code == "step-failed"
    assert "below zero" in f"{caught.value.what} {caught.value.why}"


def test_whoever_holds_an_old_fence_begins_no_run(tmp_path):
    with open_house(scheduled_project(tmp_path, 3)) as home:
        one = taken(home)
        lease = take(home.site.clock.now_us(), one.fence)
        home.site.db.write(lambda tx: fires.claim(tx, one, lease, home.site.clock.now_us()))
        with pytest.raises(RopewalkError) as caught:
            run_apart(home.site, "pipeline.py:train", one, threading.Event())
        with home.site.db.read() as rows:
            assert search.search(rows, "").runs == ()

    assert caught.value.code == "fire-lost"


def test_a_start_that_ends_without_a_word_is_told_as_broken_off(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.executable", "/bin/false")
    with open_house(scheduled_project(tmp_path, 1)) as home, pytest.raises(Interrupted) as caught:
        run_apart(home.site, "pipeline.py:train", taken(home), threading.Event())

    assert caught.value.code == "fire-broken-off"


def test_a_server_that_stops_does_not_wait_for_what_it_started(tmp_path):
    os.mkfifo(tmp_path / "gate")
    waits = """
        from pathlib import Path
        from ropewalk import pipeline, step

        @step
        def wait(gate: str) -> int:
            return len(Path(gate).read_text())

        @pipeline
        def train(gate: str) -> int:
            return wait(gate)
    """
    scheduled_project(tmp_path, str(tmp_path / "gate"), "gate")
    (tmp_path / "pipeline.py").write_text(dedent(waits))
    halt, ended = threading.Event(), threading.Event()

    def stop() -> None:
        with (tmp_path / "gate").open("w"):  # opens once the step reads, which then waits for words that never come
            halt.set()
            ended.wait(30)

    with open_house(tmp_path) as home, ThreadPoolExecutor(1) as pool:
        pool.submit(stop)
        with pytest.raises(Interrupted) as caught:
            run_apart(home.site, "pipeline.py:train", taken(home), halt)
        ended.set()

    assert caught.value.code == "fire-broken-off"


def test_a_house_is_a_record(shipped):
    with open_house(shipped, create=False) as home:
        assert isinstance(replace(home), House)


def test_a_run_from_the_cache_is_no_new_version_until_the_code_changes(project: Path) -> None:
    with open_house(project) as opened:
        house.run(opened, on_progress=lambda _: None)
        with opened.site.db.read() as rows:
            same = [one.ref for one in versions.all_versions(rows)]
        (project / "notes.txt").write_text("another commit\n")
        house.run(opened, on_progress=lambda _: None)
        with opened.site.db.read() as rows:
            other = [one.ref for one in versions.all_versions(rows)]

    assert same == ["churn/1"]
    assert other == ["churn/1", "churn/2"]
