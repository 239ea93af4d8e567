"""What the commands that deliver say and do: ship, approve, reject, promote, roll back, and status between them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ropewalk.cli import main
from ropewalk.house import open_house
from ropewalk.releases import release
from ropewalk.store.sqlitefile import SqliteFile

ADVISORY = {
    "id": "PYSEC-2026-1",
    "modified": "2026-01-01T00:00:00Z",
    "affected": [{"package": {"name": "no-such-library", "ecosystem": "PyPI"}, "versions": ["1.0"]}],
}
NOT_THERE = 4_194_305  # above the largest process id that Linux gives


@pytest.fixture
def say(project: Path, capsys: pytest.CaptureFixture[str]):
    """Return what types a command in the project and gives back its status and what it said."""

    def saying(*words: str) -> tuple[int, str]:
        capsys.readouterr()
        status = main(["--project", str(project), *words])
        said = capsys.readouterr()
        return status, said.out + said.err

    return saying


@pytest.fixture
def second(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project with another model, a migration, and one approval asked for; the author is `ann`."""
    text = (project / "ropewalk.toml").read_text()
    (project / "ropewalk.toml").write_text(text.replace("approvals = 0", 'approvals = 1\ndatabase = "app.db"'))
    (project / "migrations").mkdir()
    (project / "migrations" / "0001_answers.up.sql").write_text("create table answers (id integer primary key);")
    (project / "migrations" / "0001_answers.down.sql").write_text("drop table answers;")
    SqliteFile(project / "app.db").change([("create table customers (id integer primary key)", {})])
    monkeypatch.setenv("ROPEWALK_ACTOR", "ann@example.org")
    assert main(["--project", str(project), "run", "strength=0.9"]) == 0
    return project


def has_table(root: Path) -> bool:
    return bool(SqliteFile(root / "app.db").rows("select 1 as found from sqlite_master where name = 'answers'"))


def test_a_second_release_waits_for_somebody_else_and_goes_on_with_his_word_until_the_evidence_changes(
    second, say, monkeypatch
):
    status, shipped = say("ship")
    assert status == 0
    assert "release churn/2 of model churn/2 for production" in shipped
    assert "churn/2 is waiting" in shipped
    assert "ropewalk approve churn/2   # somebody other than ann@example.org" in shipped

    status, own = say("approve", "churn/2")
    assert status == 1
    assert "error[approval-own]" in own

    monkeypatch.setenv("ROPEWALK_ACTOR", "bob@example.org")
    status, approved = say("approve", "churn/2", "--note", "read it")
    assert status == 0
    assert "bob@example.org approves churn/2" in approved
    assert "ropewalk ship --release churn/2" in approved
    assert "ropewalk approve" not in say("status")[1]

    (second / "advisories").mkdir()
    (second / "advisories" / "new.json").write_text(json.dumps(ADVISORY))
    again = say("ship", "--release", "churn/2")[1]
    assert "+ 4 scan" in again
    assert "churn/2 is waiting" in again
    assert say("approve", "churn/2")[0] == 0

    status, climbing = say("ship", "--release", "churn/2", "--no-wait")
    assert status == 0
    assert "~ 8 canary   5 % of churn" in climbing
    assert "canary churn/2 5 %" in say("status")[1]

    status, promoted = say("promote", "churn/2", "--reason", "incident 114")
    assert status == 0
    assert "churn/2 answers everybody, churn/1 stays warm" in promoted
    assert "incident 114" in say("status")[1]
    assert has_table(second)

    status, back = say("rollback")
    assert status == 0
    assert "churn: churn/1 answers everybody again" in back
    assert not has_table(second)
    status, none = say("rollback")
    assert status == 1
    assert "error[nothing-to-roll-back]" in none

    assert "it was rolled back" in say("ship", "churn/2")[1]


def test_a_rejected_release_is_over_and_says_why(second, say, monkeypatch):
    say("ship")
    assert has_table(second)
    monkeypatch.setenv("ROPEWALK_ACTOR", "bob@example.org")

    status, moved = say("approve", "churn/2", "--seen", "sha256:" + "0" * 64)
    assert status == 1
    assert "error[evidence-moved]" in moved
    status, without = say("reject", "churn/2", "--note", " ")
    assert status == 1
    assert "error[reject-without-reason]" in without
    status, rejected = say("reject", "churn/2", "--note", "recall fell")
    assert status == 0
    assert "bob@example.org rejects churn/2: recall fell" in rejected
    assert "bob@example.org: recall fell" in say("status")[1]
    assert say("approve", "churn/2")[0] == 1
    assert not has_table(second)


def test_shipping_what_is_live_changes_nothing_and_says_so(say):
    status, said = say("ship")

    assert status == 0
    assert "churn/1 is live already" in said
    assert json.loads(say("status", "--json")[1])["result"]["releases"][0]["id"] == "churn/1"


def test_an_environment_that_nobody_wrote_down_is_refused_before_anything_is_made(say):
    status, said = say("ship", "--environment", "prodution")

    assert status == 1
    assert "error[environment-unknown]" in said
    assert [one["id"] for one in json.loads(say("status", "--json")[1])["result"]["releases"]] == ["churn/1"]


def test_a_failed_stage_stops_with_what_to_do_and_status_says_it_too(project, say):
    (project / "tests" / "test_pipeline.py").write_text("def test_it():\n    assert 1 == 2\n")
    say("run", "strength=0.8")

    status, said = say("ship")

    assert status == 1
    assert "  x 3 test" in said
    assert "error[stage-failed]: churn/2 stopped at stage 3, test." in said
    shown = say("status")[1]
    assert "ropewalk ship --release churn/2" in shown
    assert "failed" in shown


def test_a_release_whose_walker_is_gone_is_shown_as_interrupted(project, say):
    with open_house(project) as house:
        site = house.site

        def orphan(tx: release.Transaction) -> None:
            champion = release.get(tx, "churn/1")
            lease = replace(champion.lease, pid=NOT_THERE, born=1)
            release.begin(
                tx,
                site,
                name="churn",
                environment="production",
                version=1,
                manifest=champion.manifest,
                intent="sha256:" + "1" * 64,
                lease=lease,
            )

        site.db.write(orphan)

    shown = say("status")[1]

    assert "churn/2  interrupted" in shown
    assert "walking" not in shown
    assert "ropewalk ship --release churn/2" in shown
