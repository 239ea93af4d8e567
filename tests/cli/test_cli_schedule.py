"""`ropewalk schedule`: empty states, machines' answers, backfills that fail, go on and are cancelled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ropewalk.cli import main

PIPELINE = """
from pathlib import Path
from ropewalk import pipeline, step

@step
def one(start: str, code: str) -> str:
    if start[5:7] in Path(code).read_text().split():
        raise ValueError(f"{start} is not good")
    return start

@pipeline(schedule="0 0 1 * *")
def monthly(interval_start: str = "") -> str:
    return one(interval_start, BAD)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "ropewalk.toml").write_text('name = "lab"\n')
    bad = tmp_path / "bad.txt"
    bad.write_text("02")
    (tmp_path / "pipeline.py").write_text(PIPELINE + f"\nBAD = {str(bad)!r}\n")
    return tmp_path


def ask(root: Path, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    main(["--project", str(root), "--json", "schedule", *words])
    return json.loads(capsys.readouterr().out)


def test_a_project_without_schedules_says_how_to_write_one(tmp_path: Path, capsys) -> None:
    (tmp_path / "ropewalk.toml").write_text('name = "lab"\n')

    assert main(["--project", str(tmp_path), "schedule"]) == 0
    said = capsys.readouterr().out

    assert '@pipeline(schedule="0 6 * * *"' in said
    assert "[[schedules]]" in said
    assert ask(tmp_path, capsys)["result"] == []


def test_every_action_answers_machines(root: Path, capsys) -> None:
    (listed,) = ask(root, capsys)["result"]
    shown = ask(root, capsys, "show", "monthly")["result"]
    coming = ask(root, capsys, "next", "monthly", "--count", "3")["result"]
    history = ask(root, capsys, "history", "monthly")["result"]

    assert (listed["name"], listed["state"], listed["last"]) == ("monthly", "active", None)
    assert shown["next"] == coming["next"]
    assert all(at.endswith("-01T00:00:00Z") for at in coming["next"])
    assert history == []
    assert ask(root, capsys, "pause", "monthly")["result"]["state"] == "paused"
    assert ask(root, capsys, "next", "monthly")["result"]["next"] == []
    assert ask(root, capsys, "resume", "monthly")["result"]["next"] == coming["next"][:1]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("show",), "usage"),
        (("list", "monthly"), "usage"),
        (("backfill", "monthly"), "usage"),
        (("show", "monthly", "--dry-run"), "usage"),
        (("show", "nobody"), "schedule-not-found"),
        (("secret", "monthly"), "schedule-no-webhook"),
        (("backfill", "monthly", "--from", "x", "--to", "y"), "backfill-invalid"),
        (("backfill", "monthly", "--from", "2013-01", "--to", "2013-01", "--cancel"), "backfill-not-found"),
    ],
)
def test_what_cannot_be_done_is_told_and_changes_nothing(root: Path, capsys, words: tuple[str, ...], code: str) -> None:
    answer = ask(root, capsys, *words)

    assert (answer["ok"], answer["error"]["code"]) == (False, code)
    assert ask(root, capsys, "history", "monthly")["result"] == []


def test_a_backfill_tells_what_failed_and_tries_that_alone_again(root: Path, capsys) -> None:
    words = ("backfill", "monthly", "--from", "2013-01", "--to", "2013-03", "--parallel", "2")
    first = ask(root, capsys, *words)
    before = {one["interval_start"]: one for one in ask(root, capsys, "history", "monthly")["result"]}
    (root / "bad.txt").write_text("")
    second = ask(root, capsys, *words)
    after = {one["interval_start"]: one for one in second["result"]["fires"]}

    assert (first["ok"], first["error"]["code"]) == (False, "fire-failed")
    assert {at[:7]: one["state"] for at, one in before.items()} == {
        "2013-01": "done",
        "2013-02": "failed",
        "2013-03": "done",
    }
    assert (second["result"]["state"], second["result"]["intervals"]) == ("done", {"done": 3})
    same = [at for at in after if after[at]["run"] == before[at]["run"]]
    assert sorted(at[:7] for at in same) == ["2013-01", "2013-03"]


def test_a_backfill_that_is_left_to_the_server_can_be_cancelled_and_taken_up_again(root: Path, capsys) -> None:
    words = ("backfill", "monthly", "--from", "2013-04", "--to", "2013-05")
    left = ask(root, capsys, *words, "--detach")["result"]
    stopped = ask(root, capsys, *words, "--cancel")["result"]
    again = ask(root, capsys, *words, "--cancel")
    done = ask(root, capsys, *words)["result"]

    assert (left["state"], left["intervals"]) == ("open", {"waiting": 2})
    assert stopped["state"] == "cancelled"
    assert again["error"]["code"] == "backfill-over"
    assert (done["id"], done["state"]) == (left["id"], "done")
