"""Models whose names hold quotes come and go as any others do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ropewalk.cli import main
from ropewalk.demo.server import Server
from ropewalk.house import open_house
from ropewalk.models import registered, versions
from ropewalk.runs import remote

NAMES = ("it's", 'a "b"', """it's a "b\"""", """it"s a "b\"""", "plain")


def project(folder: Path) -> Path:
    folder.mkdir()
    (folder / "ropewalk.toml").write_text('name = "lab"\n')
    return folder


@pytest.mark.timeout(120)
def test_models_with_quotes_in_their_names_go_to_a_server_once_and_come_back(tmp_path, capsys):
    lab, other, third = (project(tmp_path / name) for name in ("lab", "other", "third"))
    with open_house(lab) as house:
        site = house.site
        run = site.db.write(lambda tx: remote.create(tx, site, name="r"))
        source = f"runs:/{run.id}/m"
        for name in NAMES:
            site.db.write(lambda tx, name=name: registered.create(tx, site, name))
            given = {"name": name, "source": source, "storage": source, "run_id": run.id}
            site.db.write(lambda tx, given=given: versions.add(tx, site, **given))

    with Server(other, 0) as server:
        for _ in range(2):
            assert main(["--project", str(lab), "export", "mlflow", server.url, "--json"]) == 0
            assert json.loads(capsys.readouterr().out)["result"]["refused"] == {}
        assert main(["--project", str(third), "import", "mlflow", server.url, "--json"]) == 0

    told = json.loads(capsys.readouterr().out)["result"]
    assert (told["refused"], told["counts"]["versions"]) == ({}, len(NAMES))
    with open_house(third) as house, house.site.db.read() as rows:
        assert [len(versions.list_versions(rows, name)) for name in NAMES] == [1] * len(NAMES)
