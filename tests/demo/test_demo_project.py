"""The demo's folder: a copy under git of what a team would have, never laid over anybody's files."""

from __future__ import annotations

import pytest

from ropewalk.demo import project
from ropewalk.errors import Conflict


def test_the_copy_is_a_project_under_git_without_the_plays_own_parts(tmp_path):
    root = tmp_path / "demo"

    project.lay_out(root, fresh=False)

    there = {path.relative_to(root).as_posix() for path in root.rglob("*") if ".git" not in path.parts}
    assert {"ropewalk.toml", "pipeline.py", ".gitignore", project.MARK} <= there
    assert not there & {*project.PLAY, *(f"tests/{name}" for name in project.PLAY)}
    assert ".ropewalk" not in there
    assert project.git(root, "status", "--porcelain") == ""
    assert project.git(root, "log", "--format=%an %s") == "Ann Author Predict which flights land late"


def test_a_folder_with_somebodys_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")

    with pytest.raises(Conflict) as caught:
        project.lay_out(tmp_path, fresh=True)

    assert caught.value.code == "demo-folder-taken"
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_demo_that_was_played_is_kept_until_fresh_is_said(tmp_path):
    root = tmp_path / "demo"
    project.lay_out(root, fresh=False)
    (root / "note.txt").write_text("what I found")

    with pytest.raises(Conflict) as caught:
        project.lay_out(root, fresh=False)
    assert caught.value.code == "demo-played"
    assert (root / "note.txt").exists()
    project.lay_out(root, fresh=True)

    assert not (root / "note.txt").exists()
    assert project.git(root, "rev-list", "--count", "HEAD") == "1"


def test_an_empty_folder_may_be_used(tmp_path):
    project.lay_out(tmp_path, fresh=False)

    assert (tmp_path / "pipeline.py").exists()


def test_a_commit_holds_the_whole_change_and_gives_its_id(tmp_path):
    project.lay_out(tmp_path, fresh=False)
    (tmp_path / "new.py").write_text("x = 1\n")

    sha = project.commit(tmp_path, "Add x")

    assert project.git(tmp_path, "log", "-1", "--format=%H %s") == f"{sha} Add x"
    assert project.git(tmp_path, "status", "--porcelain") == ""
