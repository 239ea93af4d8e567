"""`ropewalk gc`, as typed: it looks first, removes when told, and says so to people and to machines."""

import json
import os

import pytest

from ropewalk.artifacts import artifact
from ropewalk.blobs.folder import FolderBucket
from ropewalk.cli import main
from ropewalk.house import open_house
from ropewalk.runs import remote


@pytest.fixture
def root(tmp_path):
    """A project in which a client has deleted one of its two runs, and an old blob that nothing names."""
    (tmp_path / "ropewalk.toml").write_text('name = "churn"\n')
    with open_house(tmp_path) as house:
        site = house.site
        for number in range(2):
            digest = site.blobs.put(b"%d" % number)
            run = site.db.write(lambda tx: remote.create(tx, site, name="r"))
            path = f"{run.location.removeprefix('mlflow-artifacts:/')}/x"
            site.db.write(
                lambda tx, path=path, digest=digest: artifact.put(tx, site, path, digest, 1, "", begun_us=1 << 60)
            )
        site.db.write(lambda tx: remote.delete(tx, site, run.id))
        site.blobs.put(b"orphan")
        for digest in site.blobs.digests():
            os.utime(site.blobs.path_of(digest), (1, 1))
    return tmp_path


def blobs(root):
    return len(list(FolderBucket(root / ".ropewalk" / "blobs").digests()))


def asked(capsys, root, *words):
    status = main(["--project", str(root), "--json", "gc", *words])
    return status, json.loads(capsys.readouterr().out)


def test_it_only_looks_until_it_is_told(root, capsys):
    status, answer = asked(capsys, root, "--older-than", "0s")

    assert status == 0
    assert (answer["result"]["removed"], answer["result"]["blobs"], answer["result"]["bytes"]) == (False, 2, 7)
    assert [one["what"] for one in answer["result"]["purged"]] == ["run"]
    assert blobs(root) == 3


def test_told_it_removes_the_same_and_a_second_time_nothing(root, capsys):
    first = asked(capsys, root, "--yes", "--older-than", "0s")[1]["result"]
    second = asked(capsys, root, "--yes", "--older-than", "0s")[1]["result"]

    assert (first["removed"], first["blobs"], len(first["purged"])) == (True, 2, 1)
    assert (second["blobs"], second["purged"]) == (0, [])
    assert blobs(root) == 1
    assert main(["--project", str(root), "verify"]) == 0


def test_what_was_deleted_lately_stays_and_people_are_told_what_to_type(root, capsys):
    assert main(["--project", str(root), "gc"]) == 0

    said = capsys.readouterr().out
    assert "would remove 1 blob, 0.0 MB" in said
    assert "ropewalk gc --yes" in said
    assert blobs(root) == 3


@pytest.mark.parametrize(
    "words",
    [["--older-than", "soon"], ["--grace", ""], ["--grace", "1h 2m"], ["--grace", "5m"], ["--older-than", "-1d"]],
)
def test_a_time_that_is_none_is_told_and_nothing_goes(root, capsys, words):
    name, value = words
    status, answer = asked(capsys, root, "--yes", f"{name}={value}")

    assert status != 0
    assert answer["error"]["code"] in ("usage", "gc-too-eager")
    assert blobs(root) == 3


def test_a_folder_without_a_project_is_told(tmp_path, capsys):
    assert main(["--project", str(tmp_path), "gc"]) != 0

    assert "ropewalk init" in capsys.readouterr().err
