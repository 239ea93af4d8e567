"""`ropewalk store` as it is typed: shown, backed up, restored, moved both ways, and its schema walked."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ropewalk.cli import main
from ropewalk.demo.server import Server
from ropewalk.house import open_house
from store.postgres_places import needs_postgres, new_place


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with a few records: entries of the ledger, events and a blob."""
    root = tmp_path / "churn"
    root.mkdir()
    with open_house(root) as house:
        site = house.site
        site.blobs.put(b"a kept file")
        for place in range(20):
            site.db.write(
                lambda tx, place=place: (
                    site.record(tx, "check.made", f"r{place}", {"name": str(place)}),
                    site.announce(tx, "check", f"r{place}", {}),
                )
            )
    return root


def say(capsys: pytest.CaptureFixture[str], root: Path, *words: str) -> dict:
    """Run a command; return its envelope."""
    main(["--project", str(root), "--json", "store", *words])
    return json.loads(capsys.readouterr().out)


def subjects(root: Path) -> list[str]:
    with open_house(root) as house, house.site.db.read() as rows:
        return [str(row["subject"]) for row in rows.rows("events.after", seq=0, count=999)]


def test_status_says_where_the_records_are_and_how_many(capsys, root):
    said = say(capsys, root, "status", "--check")["result"]

    assert said["engine"] == "sqlite"
    assert said["rows"]["ledger"] == said["rows"]["events"] == 20
    assert said["missing"] == said["damage"] == []
    assert said["where"].endswith("ropewalk.db")
    assert main(["--project", str(root), "store"]) == 0
    assert "the newest" in capsys.readouterr().out


def test_status_of_no_project_is_an_error_and_makes_nothing(capsys, tmp_path):
    nowhere = say(capsys, tmp_path, "status")
    left = list(tmp_path.iterdir())
    (tmp_path / "ropewalk.toml").write_text('name = "p"\n')
    nothing = say(capsys, tmp_path, "status")

    assert nowhere["error"]["code"] == nothing["error"]["code"] == "project-empty"
    assert left == []
    assert not list(tmp_path.glob("**/ropewalk.db"))


def test_a_backup_comes_back_with_its_blobs(capsys, root, tmp_path):
    kept = say(capsys, root, "backup", str(tmp_path / "kept"), "--blobs")["result"]
    before = subjects(root)
    shutil.rmtree(root / ".ropewalk" / "blobs")
    for file in root.glob(".ropewalk/ropewalk.db*"):
        file.unlink()

    back = say(capsys, root, "restore", str(tmp_path / "kept"))["result"]

    assert back["rows_digest"] == kept["rows_digest"]
    assert kept["blobs"] == 1
    assert subjects(root) == before
    with open_house(root) as house:
        assert [house.site.blobs.get(digest) for digest in house.site.blobs.digests()] == [b"a kept file"]
    assert main(["--project", str(root), "verify"]) == 0


def test_a_backup_says_what_it_does_not_hold(capsys, root, tmp_path):
    main(["--project", str(root), "store", "backup", str(tmp_path / "kept")])

    said = capsys.readouterr().out
    assert "no blobs" in said
    assert "signing key" in said


def test_rows_are_never_overwritten_unasked(capsys, root, tmp_path):
    say(capsys, root, "backup", str(tmp_path / "kept"))
    with open_house(root) as house:
        house.site.db.write(lambda tx: house.site.announce(tx, "check", "later", {}))

    refused = say(capsys, root, "restore", str(tmp_path / "kept"))
    still = subjects(root)
    dry = say(capsys, root, "restore", str(tmp_path / "kept"), "--dry-run")
    forced = say(capsys, root, "restore", str(tmp_path / "kept"), "--force")

    assert refused["error"]["code"] == "store-not-empty"
    assert "later" in still
    assert dry["result"]["done"] is False
    assert forced["result"]["done"] is True
    assert "later" not in subjects(root)


def test_a_restore_into_the_past_keeps_the_head_that_says_so(capsys, root, tmp_path):
    say(capsys, root, "backup", str(tmp_path / "kept"))
    with open_house(root) as house:
        house.site.db.write(lambda tx: house.site.record(tx, "check.made", "r", {"name": "later"}))
    aside = say(capsys, root, "restore", str(tmp_path / "kept"), "--force")["result"]["head"]

    assert aside.startswith("ledger.head.")
    assert (root / ".ropewalk" / aside).exists()
    with open_house(root) as house, house.site.db.read() as rows:
        assert [row["kind"] for row in rows.rows("ledger.newest", count=1)] == ["store.restored"]
    assert main(["--project", str(root), "verify"]) == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("backup",), "usage"),
        (("restore", "nowhere"), "backup-not-found"),
        (("move", "sqlite"), "store-same"),
        (("move", "mysql://localhost/x"), "store-url-invalid"),
        (("move", "postgresql://ann:hush@127.0.0.1:9/x"), "store-unreachable"),
        (("migrate", "--to", "999"), "store-step-unknown"),
    ],
)
def test_what_cannot_be_done_is_told_and_changes_nothing(capsys, root, words, code):
    said = say(capsys, root, *words)

    assert said["error"]["code"] == code
    assert "hush" not in json.dumps(said)
    assert len(subjects(root)) == 20


def test_a_backup_never_writes_over_anything(capsys, root, tmp_path):
    (tmp_path / "kept").mkdir()

    assert say(capsys, root, "backup", str(tmp_path / "kept"))["error"]["code"] == "backup-exists"


@needs_postgres
def test_records_move_to_postgresql_and_back(capsys, root, monkeypatch):
    before = subjects(root)
    with new_place() as url:
        dry = say(capsys, root, "move", url, "--dry-run")["result"]
        there = say(capsys, root, "move", url)["result"]
        monkeypatch.setenv("ROPEWALK_STORE_URL", url)
        shown = say(capsys, root, "status", "--check")["result"]
        moved = subjects(root)
        with open_house(root) as house:
            house.site.db.write(lambda tx: house.site.announce(tx, "check", "written there", {}))
        full = say(capsys, root, "move", "sqlite")
        back = say(capsys, root, "move", "sqlite", "--force")["result"]
        monkeypatch.delenv("ROPEWALK_STORE_URL")

    assert dry["done"] is False
    assert url in there["setting"]
    assert shown["engine"] == "postgres"
    assert shown["damage"] == []
    assert moved == before
    assert full["error"]["code"] == "store-not-empty"
    assert subjects(root) == [*before, "written there"]
    digests = {one["table"]: one["digest"] for one in there["tables"]}
    assert digests["runs"] == {one["table"]: one["digest"] for one in back["tables"]}["runs"]
    assert main(["--project", str(root), "verify"]) == 0


@needs_postgres
def test_the_setting_to_write_never_repeats_a_password():
    from ropewalk.cli.storecopy import _setting

    said = _setting("postgresql://ann:hush@db.example.org/rows?options=-csearch_path%3Dx")

    assert "hush" not in said
    assert "ROPEWALK_STORE_URL" in said
    assert "ann:PASSWORD@db.example.org" in said


def test_the_schema_goes_down_only_after_it_said_what_is_lost(capsys, root):
    asked = say(capsys, root, "migrate", "--to", "1")["result"]
    still = say(capsys, root, "status")["result"]["schema"]
    done = say(capsys, root, "migrate", "--to", "1", "--yes")["result"]
    lower = say(capsys, root, "status")["result"]
    up = say(capsys, root, "migrate")["result"]

    assert asked["done"] is False
    assert {"table": "experiments", "columns": [], "rows": 1} in asked["lost"]
    assert max(still) > 1
    assert done["down"]
    assert lower["schema"] == [1]
    assert lower["rows"]["events"] == 20
    assert up["up"] == lower["missing"]


WHOLE = {
    "move": ("move", "PLACE"),
    "restore": ("restore", "KEPT", "--force"),
    "migrate": ("migrate", "--to", "3", "--yes"),
}


@needs_postgres
@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_nothing_is_done_to_a_whole_store_while_a_server_has_it_open(capsys, root, tmp_path, monkeypatch, engine):
    """A real server: each is refused with who it is, done once it is killed, and no server starts in the middle."""
    say(capsys, root, "backup", str(tmp_path / "kept"))
    with new_place() as used, new_place() as other:
        if engine == "postgres":
            say(capsys, root, "move", used)
            monkeypatch.setenv("ROPEWALK_STORE_URL", used)
        words = {
            name: [{"PLACE": other, "KEPT": str(tmp_path / "kept")}.get(word, word) for word in given]
            for name, given in WHOLE.items()
        }
        with Server(root, 0) as server:
            refused = {name: say(capsys, root, *given)["error"] for name, given in words.items()}
            dry = say(capsys, root, "move", other, "--dry-run")
            server._process.kill()
            server._process.wait()
        with open_house(root, alone=True):
            late = subprocess.run(
                [sys.executable, "-m", "ropewalk", "--project", str(root), "--json", "up", "--port", "0"],
                capture_output=True,
                check=False,
            )
        done = {name: say(capsys, root, *given)["ok"] for name, given in words.items()}

    assert {error["code"] for error in refused.values()} == {"store-in-use"}
    assert all(str(server._process.pid) in error["why"] for error in refused.values())
    assert dry["result"]["done"] is False
    assert json.loads(late.stdout)["error"]["code"] == "store-held"
    assert done == dict.fromkeys(WHOLE, True)
