"""Two runs are compared part by part, and a run is restored byte by byte."""

import json
import math
import subprocess

import pytest

from ropewalk.errors import Conflict, Corrupt, NotFound
from ropewalk.refs import digest_of_file
from ropewalk.runs.artifacts import artifact, artifacts, run_models
from ropewalk.runs.diff import diff
from ropewalk.runs.restore import restore


def write(site, name, data):
    path = site.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data) if isinstance(data, bytes) else path.write_text(data)


def changes(items):
    return {item.name: (item.a, item.b) for item in items}


def test_a_run_does_not_differ_from_itself_or_its_twin(site, with_everything):
    write(site, "pipeline.py", "x = 1\n")
    a, b = with_everything(), with_everything()

    assert diff(site, a.id, a.id).same
    assert diff(site, a.id, b.id).same


def test_every_difference_is_named_with_both_sides(site, with_everything, log):
    write(site, "pipeline.py", "x = 1\ny = 2\n")
    write(site, "gone.py", "old\n")
    write(site, "binary.dat", b"\xff\xfe")
    write(site, "same.py", "same\n")
    a = with_everything(rows=(1, 2), args={"depth": 6, "seed": 1})
    log(a, {"kind": "param", "key": "depth", "value": "6"}, {"kind": "metric", "key": "auc", "value": 0.5})
    write(site, "pipeline.py", "x = 1\ny = 3")
    (site.root / "gone.py").unlink()
    write(site, "new/made.py", "new\n")
    write(site, "binary.dat", b"\xff\xfd")
    (site.root / "same.py").chmod(0o755)
    b = with_everything(
        rows=(1, 3),
        model=b"other weights",
        plot=b"<svg>2</svg>",
        args={"depth": 8, "seed": 1},
        environment={"python": "3.12.0", "packages": [["polars", "1.31.0"], ["numpy", "2.1.0"]]},
    )
    log(b, {"kind": "param", "key": "depth", "value": "8"}, {"kind": "metric", "key": "auc", "value": math.nan})

    found = diff(site, a.id, b.id)

    assert not found.same
    assert [(item.path, item.change) for item in found.files] == [
        ("binary.dat", "changed"),
        ("gone.py", "removed"),
        ("new/made.py", "added"),
        ("pipeline.py", "changed"),
        ("same.py", "mode"),
    ]
    texts = {item.path: item.text for item in found.files}
    assert "-y = 2\n+y = 3\n\\ No newline" in texts["pipeline.py"]
    assert "-old\n" in texts["gone.py"]
    assert "+new\n" in texts["new/made.py"]
    assert texts["binary.dat"] == texts["same.py"] == ""
    assert changes(found.run) == {"args.depth": ("6", "8")}
    assert changes(found.params) == {"depth": ("6", "8")}
    assert changes(found.metrics) == {"auc": ("0.5", "nan")}
    assert changes(found.environment) == {"(python)": ("3.11.7", "3.12.0"), "numpy": (None, "2.1.0")}
    assert set(changes(found.data)) == {"rows"}
    assert set(changes(found.models)) == {"flights/model.skops"}
    assert set(changes(found.artifacts)) == {"plots/roc.svg"}


def test_the_commit_and_the_dirt_are_part_of_the_difference(site, with_everything):
    def git(*words):
        subprocess.run(
            ["git", "-c", "user.name=Ann", "-c", "user.email=ann@example.org", *words], cwd=site.root, check=True
        )

    write(site, ".gitignore", ".ropewalk\n")
    write(site, "pipeline.py", "x = 1\n")
    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-q", "-m", "one")
    a = with_everything()
    write(site, "pipeline.py", "x = 2\n")
    b = with_everything()
    git("commit", "-q", "-a", "-m", "two")
    c = with_everything()

    assert changes(diff(site, a.id, b.id).run) == {"dirty": ("no", "yes")}
    assert set(changes(diff(site, b.id, c.id).run)) == {"commit", "dirty"}
    assert diff(site, b.id, c.id).files == ()


def test_a_run_that_is_not_there_is_not_compared(site, with_everything):
    run = with_everything()

    with pytest.raises(NotFound):
        diff(site, run.id, "no-run")


def test_a_restored_run_has_every_byte_that_was_recorded(site, with_everything, tmp_path):
    write(site, "pipeline.py", "x = 1\n")
    write(site, "tool.sh", "#!/bin/sh\n")
    (site.root / "tool.sh").chmod(0o755)
    run = with_everything(args={"depth": 8})
    write(site, "pipeline.py", "x = 'changed since'\n")

    restored = restore(site, run.id, tmp_path / "again")

    folder = tmp_path / "again"
    assert (folder / "code" / "pipeline.py").read_text() == "x = 1\n"
    assert (folder / "code" / "tool.sh").stat().st_mode & 0o111
    assert [item.path for item in restored.files] == [
        "artifacts/plots/roc.svg",
        "data/load/rows.parquet",
        "models/flights/contract.json",
        "models/flights/model.skops",
    ]
    assert all(digest_of_file(folder / item.path) == item.digest for item in restored.files)
    assert (folder / "models" / "flights" / "model.skops").read_bytes() == b"weights"
    assert (folder / "requirements.txt").read_text() == "polars==1.31.0\n"
    told = json.loads((folder / "run.json").read_text())
    assert (told["id"], told["args"], told["environment_facts"]) == (run.id, {"depth": 8}, {"python": "3.11.7"})
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".restore")] == []


def test_a_folder_that_holds_something_is_left_alone(site, with_everything, tmp_path):
    run = with_everything()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")

    with pytest.raises(Conflict) as caught:
        restore(site, run.id, tmp_path / "mine")

    assert caught.value.code == "folder-not-empty"
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
    (tmp_path / "empty").mkdir()
    assert (restore(site, run.id, tmp_path / "empty").folder / "run.json").exists()


@pytest.mark.parametrize("part", ["model.skops", "roc.svg", "rows.parquet", "pipeline.py"])
def test_one_changed_byte_anywhere_stops_the_restore_and_leaves_nothing(site, with_everything, tmp_path, part):
    write(site, "pipeline.py", "x = 1\n")
    run = with_everything()
    whole = restore(site, run.id, tmp_path / "whole").folder
    (file,) = whole.rglob(part)
    blob = site.blobs.path_of(digest_of_file(file))
    blob.chmod(0o600)
    blob.write_bytes(bytes([blob.read_bytes()[0] ^ 1]) + blob.read_bytes()[1:])

    with pytest.raises(Corrupt):
        restore(site, run.id, tmp_path / "again")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["project", "whole"]


def test_a_run_without_anything_is_restored_too(site, begin, tmp_path):
    restored = restore(site, begin().id, tmp_path / "again")

    assert restored.files == ()


def test_steps_and_frames_with_odd_names_get_files_of_their_own(site, begin, tmp_path):
    import polars as pl

    from ropewalk.data import frames, snapshot

    run = begin()
    for node, name, value in (("fit[0]", "a/../b", 1), ("fit{0}", "a/../b", 2), ("..", "..", 3)):
        ref = frames.write(site.blobs, pl.DataFrame({"a": [value]}))
        site.db.write(
            lambda tx, ref=ref, node=node, name=name: snapshot.record(
                tx, site, ref, name=name, run_id=run.id, node=node
            )
        )

    restored = restore(site, run.id, tmp_path / "again")

    paths = [item.path for item in restored.files]
    assert len(paths) == len(set(paths)) == 3
    assert all(".." not in path.split("/") for path in paths)
    assert {pl.read_parquet(restored.folder / path)["a"][0] for path in paths} == {1, 2, 3}


def test_artifacts_are_found_by_path_and_step(site, begin, log):
    run = begin()
    for node, data in (("a", b"one"), ("b", b"two")):
        kept = {"digest": site.blobs.put(data), "bytes": 3}
        log(
            run,
            {"kind": "artifact", "key": "x.txt", "value": kept},
            {"kind": "artifact", "key": f"{node}.txt", "value": kept},
            node=node,
        )

    with site.db.read() as rows:
        assert [(item.path, item.node) for item in artifacts(rows, run.id)] == [
            ("a.txt", "a"),
            ("b.txt", "b"),
            ("x.txt", "a"),
            ("x.txt", "b"),
        ]
        assert site.blobs.get(artifact(rows, run.id, "x.txt", node="b").digest) == b"two"
        assert site.blobs.get(artifact(rows, run.id, "a.txt").digest) == b"one"
        with pytest.raises(Conflict) as ambiguous:
            artifact(rows, run.id, "x.txt")
        with pytest.raises(NotFound) as missing:
            artifact(rows, run.id, "../x.txt")
    assert (ambiguous.value.code, missing.value.code) == ("artifact-ambiguous", "artifact-not-found")


def test_a_model_whose_manifest_is_none_is_called_so(site, begin, log):
    run = begin()
    log(run, {"kind": "model", "key": "m", "value": {"manifest": site.blobs.put(b"[]")}})

    with site.db.read() as rows, pytest.raises(Corrupt) as caught:
        run_models(rows, site.blobs, run.id)

    assert caught.value.code == "model-malformed"
