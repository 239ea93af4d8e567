"""`ropewalk workspace`, `ropewalk usage` and `--workspace` as one types them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ropewalk.cli import main
from ropewalk.house import open_house
from ropewalk.workspaces.meter import Meter


@pytest.fixture
def host(tmp_path: Path) -> Path:
    root = tmp_path / "host"
    root.mkdir()
    (root / "ropewalk.toml").write_text('name = "churn"\n')
    return root


@pytest.fixture
def say(host: Path, capsys):
    def typed(*words: str, status: int = 0) -> Any:
        assert main(["--project", str(host), "--json", *words]) == status
        return json.loads(capsys.readouterr().out)

    return typed


def test_a_workspace_walks_from_its_making_to_its_end(say, host: Path) -> None:
    made = say("workspace", "create", "team-a", "--description", "x", "--bytes", "2GiB", "--runs", "5")["result"]
    assert (made["folder"], made["quota"]["bytes_max"], made["quota"]["runs_max"]) == ("workspaces/team-a", 2 << 30, 5)
    changed = say("workspace", "quota", "team-a", "--bytes", "0", "--requests", "9")["result"]["quota"]
    assert (changed["bytes_max"], changed["runs_max"], changed["requests_max"]) == (0, 5, 9)
    assert say("workspace", "describe", "team-a", "--description", "y")["result"]["description"] == "y"
    assert say("workspace", "rename", "team-a", "team-b")["result"]["folder"] == "workspaces/team-a"
    assert say("workspace", "archive", "team-b")["result"]["state"] == "archived"
    assert say("--workspace", "team-b", "verify")["ok"]
    assert say("workspace", "restore", "team-b")["result"]["state"] == "open"
    assert say("workspace", "show", "team-b")["result"]["holds"] == {}
    assert say("workspace", "delete", "team-b")["result"]["state"] == "deleted"
    assert (host / ".ropewalk" / "workspaces" / "team-a" / ".ropewalk").is_dir()
    assert say("workspace", "purge", "team-b")["result"]["done"] is False
    assert say("workspace", "purge", "team-b", "--yes")["result"]["done"] is True
    assert not (host / ".ropewalk" / "workspaces" / "team-a").exists()
    assert [one["name"] for one in say("workspace")["result"]] == ["default"]
    assert say("workspace", "restore", "team-b", status=1)["error"]["code"] == "workspace-not-found"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["create"], "usage"),
        (["create", "Team"], "workspace-name-invalid"),
        (["create", "default"], "workspace-reserved"),
        (["create", "team-a", "--bytes", "lots"], "quota-invalid"),
        (["create", "team-a", "--runs", "-1"], "usage"),
        (["add", "team-a"], "usage"),
        (["add", "team-a", "--folder", "."], "workspace-folder-taken"),
        (["quota", "team-a"], "usage"),
        (["quota", "team-a", "--runs", "1"], "workspace-not-found"),
        (["rename", "team-a"], "usage"),
        (["archive", "default"], "workspace-reserved"),
        (["purge", "default", "--yes"], "workspace-not-deleted"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(say, host, monkeypatch, words, code) -> None:
    monkeypatch.chdir(host)

    told = say("workspace", *words, status=2 if code == "usage" else 1)

    assert told["error"]["code"] == code
    assert [one["name"] for one in say("workspace", "list", "--deleted")["result"]] == ["default"]


def test_a_project_that_is_there_already_is_served_from_its_folder_and_outlives_its_workspace(
    say, host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "ropewalk.toml").write_text('name = "own"\n')

    say("workspace", "add", "flights", "--folder", str(own))

    monkeypatch.setenv("ROPEWALK_STORE_URL", "")
    assert say("--workspace", "flights", "store", "status", status=1)["error"]["code"] == "project-empty"
    with open_house(own):
        pass
    assert str(own) in say("--workspace", "flights", "store", "status")["result"]["where"]
    assert say("workspace", "add", "again", "--folder", str(own), status=1)["error"]["code"] == "workspace-folder-taken"
    say("workspace", "delete", "flights")
    say("workspace", "purge", "flights", "--yes")
    assert (own / ".ropewalk" / "ropewalk.db").exists()


def test_roles_and_tokens_are_given_in_a_workspace_and_tokens_are_limited(say) -> None:
    say("workspace", "create", "team-a", "--tokens", "1")
    say("user", "add", "ci", "--service")
    given = say("--workspace", "team-a", "user", "grant", "ci", "developer")["result"]["roles"]
    assert given == [{"role": "developer", "project": "team-a", "environment": "*"}]
    say("token", "create", "--user", "ci", "--role", "developer", "--in-project", "team-a")

    refused = say("token", "create", "--user", "ci", "--in-project", "team-a", status=1)

    assert refused["error"]["code"] == "quota-reached"
    assert len(say("token")["result"]) == 1
    say("token", "create", "--user", "ci")


def test_usage_is_shown_by_day_and_no_name_becomes_a_formula(say, host: Path, capsys) -> None:
    assert say("usage", status=1)["error"]["code"] == "project-empty"
    with open_house(host) as house:
        meter = Meter(house.site)
        meter.add("default", "=1+1", 200, 1, 2, 3_000_000)
        meter.write()

    (one,) = say("usage")["result"]
    assert (one["workspace"], one["user"], one["requests"], one["busy_ms"]) == ("default", "=1+1", 1, 3.0)
    assert say("usage", "--since", "2999-01-01")["result"] == []
    assert say("usage", "--since", "soon", status=1)["error"]["code"] == "day-invalid"
    assert say("usage", "--workspace", "nobody", status=1)["error"]["code"] == "workspace-not-found"
    assert main(["--project", str(host), "usage", "--csv"]) == 0
    assert ",'=1+1," in capsys.readouterr().out


def test_a_backup_says_which_workspaces_are_not_in_it(say, tmp_path: Path) -> None:
    say("workspace", "create", "team-a")

    told = say("store", "backup", str(tmp_path / "kept"))["result"]

    assert told["workspaces_not_in_it"] == ["team-a"]
    say("--workspace", "team-a", "store", "status")
