"""What was imported goes out again, and MLflow's own client finds as much there as in what it came from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exchange.conftest import counted
from ropewalk.cli import main
from ropewalk.demo.server import Server
from ropewalk.exchange.ours import ProjectSource
from ropewalk.exchange.records import Model, Version
from ropewalk.exchange.towards import ServerTarget
from ropewalk.house import open_house
from ropewalk.models import registered, versions

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


def assert_the_same(found: dict, wanted: dict) -> None:
    assert set(found["runs"]) == set(wanted["runs"])
    for name, run in wanted["runs"].items():
        assert found["runs"][name] == run, name
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

        assert_the_same(counted(server.url, tmp_path), counted(str(mlruns), tmp_path))
        capsys.readouterr()
        assert main(["--project", str(third), "import", "mlflow", server.url, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["result"]
    with open_house(lab) as one, open_house(third) as two:
        models = [
            sorted(model.id for home in ours.experiments() for model in ours.logged_models(home))
            for ours in (ProjectSource(one.site), ProjectSource(two.site))
        ]
    assert models[0] == models[1] != []
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


def test_more_than_a_thousand_versions_go_once(other, tmp_path):
    many = tuple(Version(version=number, source="models:/m-" + "0" * 32) for number in range(1, 1203))
    with open_house(other) as house:
        site = house.site

        def fill(tx):
            registered.create(tx, site, "many")
            for one in many[:1201]:
                versions.add(tx, site, name="many", source=one.source, storage=one.source)

        site.db.write(fill)
    with Server(other, 0) as server:
        asked = ServerTarget(server.url)
        made: list[int] = []
        asked._version = lambda _name, one: made.append(one.version)
        asked.model(Model(name="many", versions=many))

    assert made == [1202]


def test_only_whole_names_in_an_address_are_replaced(other):
    with Server(other, 0) as server:
        target = ServerTarget(server.url)
    target._runs |= {"a1": "b2", "7": "9"}
    target._places["mlflow-artifacts:/7/a1/artifacts"] = "mlflow-artifacts:/3/b2/artifacts"

    assert target._source("mlflow-artifacts:/7/a1/artifacts/net") == "mlflow-artifacts:/3/b2/artifacts/net"
    assert target._source("runs:/a1/a1b/net") == "runs:/b2/a1b/net"
    assert target._source("s3://bucket/a17/x") == "s3://bucket/a17/x"
