"""A whole project on an object store: run, shipped, collected and verified; nothing lies in the folder of blobs."""

import pytest

from ropewalk.cli import main
from ropewalk.demo.project import git
from ropewalk.house import open_house


@pytest.mark.slow
def test_a_project_is_run_and_shipped_on_an_object_store(objects, monkeypatch, tmp_path):
    monkeypatch.setenv("ROPEWALK_BLOBS_URL", objects.url)
    root = tmp_path / "churn"
    assert main(["init", str(root)]) == 0
    settings = root / "ropewalk.toml"
    text = settings.read_text()
    settings.write_text(text.replace("[qa]", "[qa]\nload_seconds = 0.2").replace("p99_ms = 250", "p99_ms = 2000"))
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "first")

    for command in (["run"], ["ship"], ["gc", "--yes"], ["verify"]):
        assert main(["--project", str(root), *command]) == 0, command

    assert not (root / ".ropewalk" / "blobs").exists()
    with open_house(root, create=False) as house:
        assert len(list(house.site.blobs.digests())) > 10
    assert list((root / ".ropewalk" / "objects" / "incoming").iterdir()) == []
