"""On an object store each workspace has a prefix of its own below its host's; none sees or collects another's."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from api.asked import Asked
from ropewalk.blobs.objects import ObjectBucket
from ropewalk.cli import main
from ropewalk.house import open_house
from ropewalk.testing.blobs_objects import s3_server
from ropewalk.workspaces import workspace
from ropewalk.workspaces.workspace import Workspace

API = "/api/2.0/mlflow"
AT = "/api/3.0/mlflow/workspaces"
SAME = b"the same bytes everywhere"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made = tmp_path / "host"
    made.mkdir()
    (made / "ropewalk.toml").write_text('name = "churn"\n')
    with s3_server() as s3:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        for name, value in s3.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("ROPEWALK_BLOBS_URL", "s3://kept/host")
        yield made


def logged(asked: Asked, inside: str, *files: bytes) -> list[str]:
    """Log files into a new run; return their addresses."""
    made = asked.ask("POST", f"{API}/runs/create", {"experiment_id": "0"}, X_MLFLOW_WORKSPACE=inside)
    place = re.sub(r"^mlflow-artifacts:/*", "", made.json()["run"]["info"]["artifact_uri"])
    at = [f"/api/2.0/mlflow-artifacts/artifacts/{place}/{number}" for number in range(len(files))]
    for file, data in zip(at, files, strict=True):
        assert asked.ask("PUT", file, data, X_MLFLOW_WORKSPACE=inside).status == 200
    return at


def below(prefix: str, local: Path) -> set[str]:
    return set(ObjectBucket(f"s3://kept/{prefix}", local).digests())


@pytest.mark.slow
def test_a_workspace_keeps_its_bytes_below_a_prefix_of_its_own(root: Path, tmp_path: Path) -> None:
    with open_house(root) as house:
        asked = Asked(house.site)
        try:
            ids: dict[str, Workspace] = {}
            for name in ("team-a", "team-b"):
                assert asked.ask("POST", AT, {"name": name}).status == 201
                with house.site.db.read() as rows:
                    ids[name] = workspace.get(rows, name)
            files = {name: logged(asked, name, SAME, name.encode()) for name in ("default", *ids)}
            for name, (_, own) in files.items():
                for other in files:
                    answer = asked.ask("GET", own, X_MLFLOW_WORKSPACE=other)
                    assert (answer.status, answer.body == name.encode()) == (
                        (200, True) if other == name else (404, False)
                    )
        finally:
            asked._runner.run(asked.app.close())
            asked.close()
    prefixes = {"default": "host", **{name: f"host/workspaces/{one.id}" for name, one in ids.items()}}
    kept = {name: below(prefix, tmp_path / "look") for name, prefix in prefixes.items()}
    stray = ObjectBucket("s3://kept/host/workspaces/" + ids["team-b"].id, tmp_path / "look").put(b"belongs to no row")

    for words in (["gc", "--yes"], ["--workspace", "team-a", "gc", "--yes"], ["--workspace", "team-a", "verify"]):
        assert main(["--project", str(root), *words]) == 0

    assert {name: below(prefix, tmp_path / "look") for name, prefix in prefixes.items()} == {
        **kept,
        "team-b": kept["team-b"] | {stray},
    }
    assert {name: len(found) for name, found in kept.items()} == dict.fromkeys(kept, 2)
    # A purge takes rows, folder and prefix, and nothing beside them.
    for words in (["delete", "team-a", "--with-contents"], ["purge", "team-a", "--yes"]):
        assert main(["--project", str(root), "workspace", *words]) == 0
    assert {name: below(prefix, tmp_path / "look") - {stray} for name, prefix in prefixes.items()} == {
        **kept,
        "team-a": set(),
    }
    assert not (root / ".ropewalk" / "blobs").exists()
