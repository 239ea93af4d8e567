"""What was imported goes out again, and MLflow's own client finds as much there as in what it came from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exchange.conftest import counted
from ropewalk.cli import main
from ropewalk.demo.server import Server

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("exchange"), pytest.mark.timeout(180)]


@pytest.fixture
def lab(mlruns: Path, tmp_path: Path, capsys) -> Path:
    """A project that holds what the folder holds."""
    root = tmp_path / "lab"
    root.mkdir()
    (root / "ropewalk.toml").write_text('name = "lab"\n')
    assert main(["--project", str(root), "import", "mlflow", str(mlruns)]) == 0
    capsys.readouterr()
    return root


@pytest.fixture
def other(tmp_path: Path) -> Path:
    root = tmp_path / "other"
    root.mkdir()
    (root / "ropewalk.toml").write_text('name = "other"\n')
    return root


def assert_the_same(found: dict, wanted: dict, *, ids: bool = True) -> None:
    assert set(found["runs"]) == set(wanted["runs"])
    for name, run in wanted["runs"].items():
        assert found["runs"][name] == (run if ids else {**run, "id": found["runs"][name]["id"]}), name
    for kind in ("experiments", "models", "prediction"):
        assert found[kind] == wanted[kind]


def test_the_stock_client_reads_the_same_from_the_folder_and_it_comes_back(lab, other, mlruns, tmp_path, capsys):
    assert main(["--project", str(lab), "export", "mlflow", str(tmp_path / "out"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["result"]
    assert told["refused"] == {}
    assert told["counts"]["points"] == 33

    assert_the_same(counted(str(tmp_path / "out"), tmp_path), counted(str(mlruns), tmp_path))
    assert main(["--project", str(lab), "import", "mlflow", str(mlruns), "--json"]) == 0
    first = json.loads(capsys.readouterr().out)["result"]
    assert main(["--project", str(other), "import", "mlflow", str(tmp_path / "out"), "--json"]) == 0
    second = json.loads(capsys.readouterr().out)["result"]
    assert first["known"]["runs"] == second["counts"]["runs"]
    assert second["differing"] == []


def test_a_server_takes_all_of_it_once_and_gives_it_back(lab, other, mlruns, tmp_path, capsys):
    third = tmp_path / "third"
    third.mkdir()
    (third / "ropewalk.toml").write_text('name = "third"\n')
    with Server(other, 0) as server:
        for _ in range(2):
            assert main(["--project", str(lab), "export", "mlflow", server.url]) == 0, capsys.readouterr()

        assert_the_same(counted(server.url, tmp_path), counted(str(mlruns), tmp_path), ids=False)
        capsys.readouterr()
        assert main(["--project", str(third), "import", "mlflow", server.url, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["result"]
    assert told["counts"]["runs"] == 5
    assert told["counts"]["versions"] == 2
    assert told["differing"] == []


def test_a_folder_that_is_taken_is_left_alone(lab, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")

    assert main(["--project", str(lab), "export", "mlflow", str(tmp_path / "out"), "--json"]) == 1

    assert json.loads(capsys.readouterr().out)["error"]["code"] == "exchange-target-taken"
    assert [one.name for one in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_a_server_that_is_away_is_said_to_be(lab, capsys):
    assert main(["--project", str(lab), "export", "mlflow", "http://127.0.0.1:9", "--json"]) == 1

    assert json.loads(capsys.readouterr().out)["error"]["code"] == "exchange-server-away"
