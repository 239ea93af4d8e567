"""On PostgreSQL each workspace has tables of its own beside the host's, and they go when it is purged."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest

from api.asked import Asked
from ropewalk.api import resting
from ropewalk.cli import main
from ropewalk.house import open_house
from ropewalk.workspaces import workspace
from ropewalk.workspaces.account import RECOUNT_SECONDS
from ropewalk.workspaces.place import schema_of
from ropewalk.workspaces.quota import Quota
from store.postgres_places import SERVER, needs_postgres, new_place

API = "/api/2.0/mlflow"
AT = "/api/3.0/mlflow/workspaces"


@contextmanager
def served(root: Path) -> Iterator[Asked]:
    with open_house(root) as house:
        asked = Asked(house.site)
        try:
            yield asked
        finally:
            asked._runner.run(asked.app.close())
            asked.close()


def schemas() -> set[str]:
    with psycopg.connect(SERVER) as admin:
        return {str(name) for (name,) in admin.execute("select schema_name from information_schema.schemata")}


@needs_postgres
def test_a_workspace_gets_a_schema_beside_its_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    root = tmp_path / "host"
    root.mkdir()
    (root / "ropewalk.toml").write_text('name = "churn"\n')
    with new_place() as url:
        monkeypatch.setenv("ROPEWALK_STORE_URL", url)
        with served(root) as asked:
            assert asked.ask("POST", AT, {"name": "team-a"}).status == 201
            assert asked.ask("POST", AT, {"name": "team-b"}).status == 201
            for name in ("team-a", "team-b"):
                made = asked.ask("POST", f"{API}/runs/create", {"experiment_id": "0"}, X_MLFLOW_WORKSPACE=name)
                run = made.json()["run"]["info"]["run_id"]
                place = re.sub(r"^mlflow-artifacts:/*", "", made.json()["run"]["info"]["artifact_uri"])
                file = f"/api/2.0/mlflow-artifacts/artifacts/{place}/a"
                assert asked.ask("PUT", file, name.encode(), X_MLFLOW_WORKSPACE=name).status == 200
                for other in ("team-a", "team-b", "default"):
                    found = asked.ask("GET", f"{API}/runs/get?run_id={run}", X_MLFLOW_WORKSPACE=other)
                    assert found.status == (200 if other == name else 404)
            with asked.house.site.db.read() as rows:
                kept = schema_of(workspace.get(rows, "team-a"))
            asked._runner.run(asked.app.write_usage())
            used = asked.ask("GET", "/api/v1/usage").json()
        assert kept in schemas()
        assert {one["workspace"] for one in used} == {"default", "team-a", "team-b"}
        assert not (root / ".ropewalk" / "workspaces" / "team-a" / ".ropewalk" / "ropewalk.db").exists()
        for words in (["--workspace", "team-a", "verify"], ["--workspace", "team-b", "runs"]):
            assert main(["--project", str(root), *words]) == 0
        assert main(["--project", str(root), "workspace", "delete", "team-a"]) == 1
        assert "still holds" in capsys.readouterr().err
        for words in (["delete", "team-a", "--with-contents"], ["purge", "team-a", "--yes"]):
            assert main(["--project", str(root), "workspace", *words]) == 0
        assert kept not in schemas()
        with open_house(root) as house:
            with house.site.db.read() as rows:
                other = workspace.get(rows, "team-b")
            assert resting.held(root, other)["runs"] == 1
            house.site.db.write(lambda tx: workspace.move(tx, house.site, "team-b", workspace.DELETED))
            resting.purge(house, "team-b")


@needs_postgres
def test_two_servers_on_one_store_count_anew_what_the_other_one_let_in(tmp_path: Path, monkeypatch) -> None:
    with new_place() as url, ExitStack() as stack:
        monkeypatch.setenv("ROPEWALK_STORE_URL", url)
        roots = [tmp_path / name for name in ("one", "two")]
        for root in roots:
            root.mkdir()
            (root / "ropewalk.toml").write_text('name = "churn"\n')
        one, two = (stack.enter_context(served(root)) for root in roots)
        one.house.site.db.write(lambda tx: workspace.set_quota(tx, one.house.site, "default", Quota(runs_max=3)))
        for asked in (one, two):
            asked._runner.run(asked.app.tend())

        def made(asked: Asked) -> int:
            return asked.ask("POST", f"{API}/runs/create", {"experiment_id": "0"}).status

        first = [made(two), made(one), made(one), made(one)]
        between = made(two)  # it knows of its own one
        time.sleep(RECOUNT_SECONDS)  # the rows are not counted more often
        two._runner.run(two.app.tend())  # as it does every five seconds
        after = made(two)

    assert first == [200, 200, 200, 507]
    assert (between, after) == (200, 507)
