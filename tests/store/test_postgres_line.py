"""The whole line on PostgreSQL: a project whose records stand there is made, run, shipped and verified."""

import json
import subprocess
import sys

import pytest

from ropewalk.cli import main
from ropewalk.demo.project import git
from store.postgres_places import needs_postgres, new_place


def ropewalk(root, *words):
    """Run a command in a process of its own; return its JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "ropewalk", "--project", str(root), "--json", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    said = json.loads(done.stdout)
    assert said["ok"], said
    return said["result"]


@needs_postgres
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_project_goes_down_the_line_with_its_records_in_postgresql(tmp_path):
    root = tmp_path / "churn"
    assert main(["init", str(root)]) == 0
    settings = root / "ropewalk.toml"
    easy = settings.read_text().replace("[qa]", "[qa]\nload_seconds = 0.2").replace("p99_ms = 250", "p99_ms = 2000")
    with new_place() as url:
        settings.write_text(f'{easy}\n[store]\nurl = "{url}"\n')
        git(root, "init", "-q", "-b", "main")
        git(root, "add", "-A")
        git(root, "commit", "-q", "-m", "first")
        ran = ropewalk(root, "run")
        shipped = ropewalk(root, "ship")
        again = ropewalk(root, "run")
        verified = ropewalk(root, "verify")

    assert not (root / ".ropewalk" / "ropewalk.db").exists()
    assert ran["run"] != again["run"]
    assert shipped["state"] == "live"
    assert verified


def test_a_password_in_the_settings_is_refused(tmp_path, capsys):
    (tmp_path / "ropewalk.toml").write_text('name = "p"\n[store]\nurl = "postgresql://ann:hush@localhost/db"\n')

    status = main(["--project", str(tmp_path), "--json", "runs"])

    said = capsys.readouterr().out
    assert status != 0
    assert json.loads(said)["error"]["code"] == "settings-secret"
    assert "hush" not in said


def test_an_address_of_something_else_is_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("ROPEWALK_STORE_URL", "mysql://localhost/db")

    main(["--project", str(tmp_path), "--json", "runs"])

    assert json.loads(capsys.readouterr().out)["error"]["code"] == "store-url-invalid"


def test_a_server_that_is_not_there_is_told_within_seconds(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("ROPEWALK_STORE_URL", "postgresql://ann:hush@127.0.0.1:9/db")

    main(["--project", str(tmp_path), "--json", "runs"])

    said = capsys.readouterr().out
    assert json.loads(said)["error"]["code"] == "store-unreachable"
    assert "hush" not in said
