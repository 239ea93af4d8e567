"""What stock MLflow keeps comes in whole, with its ids, once; and nothing but what was named is opened."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest

from ropewalk.cli import main
from ropewalk.errors import Invalid, NotFound
from ropewalk.evidence.verify import verify
from ropewalk.exchange.arrive import Arrival
from ropewalk.exchange.opened import open_source
from ropewalk.exchange.ours import ProjectSource
from ropewalk.models import versions
from ropewalk.site import Site

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("exchange"), pytest.mark.timeout(180)]
WHOLE = {
    "experiments": 2,
    "runs": 5,
    "points": 33,
    "params": 3,
    "datasets": 1,
    "files": 7,
    "logged models": 1,
    "models": 1,
    "versions": 2,
    "aliases": 2,
}


def take(site: Site, text: Path | str, *, dry: bool = False, on_step=lambda _: None):
    return Arrival(site, open_source(str(text)), dry=dry, on_step=on_step).run()


def kept(site: Site) -> dict[str, object]:
    """What the project holds, by name."""
    ours = ProjectSource(site)
    found = {one.name: one for one in ours.experiments()}
    return {name: {run.name: run for run in ours.runs(one)} for name, one in found.items()}


@pytest.mark.parametrize("kind", ["folder", "sqlite"])
def test_everything_comes_with_its_ids(site, request, kind):
    source = request.getfixturevalue("mlruns" if kind == "folder" else "sqlite_file")

    tally = take(site, source)

    assert tally.refused == {}
    assert tally.differing == []
    assert {key: value for key, value in tally.counts().items() if key in WHOLE} == WHOLE
    theirs, ours = open_source(str(source)), ProjectSource(site)
    their_homes = {one.name: one for one in theirs.experiments()}
    homes = {one.name: one for one in ours.experiments()}
    assert {name: one.id for name, one in homes.items()} == {name: one.id for name, one in their_homes.items()}
    assert homes["gone"].deleted
    assert homes["first"].tags == {"team": "ünï"}
    assert homes["first"].created_ms == their_homes["first"].created_ms
    runs = kept(site)["first"]
    assert {run.id for run in runs.values()} == {run.id for run in theirs.runs(their_homes["first"])}
    whole = runs["whole"]
    assert whole.params == {"depth": "3", "text": "x\ny: z # 'q'", "empty": ""}
    assert whole.tags["lines"] == "one\ntwo"
    points = {key: value for key, value, _, _ in ours.points(whole)}
    assert math.isnan(points["nan"])
    assert points["negative"] == -1e-300
    assert set(ours.digests(whole)) == {"a.json", "deep/ä b.txt"}
    assert runs["child"].tags["mlflow.parentRunId"] == whole.id
    assert runs["failed"].status == "FAILED"
    assert runs["deleted"].deleted
    (model,) = ours.models()
    assert (model.name, model.description, model.aliases) == ("churn", "who leaves", {"champion": 1, "challenger": 3})
    assert [(one.version, one.stage) for one in model.versions] == [(1, "None"), (3, "Production")]
    assert model.versions[1].tags == {"colour": "red"}
    assert model.versions[1].description == "third"
    with site.db.read() as reader:
        assert versions.resolve(reader, "churn", "champion").run_id == whole.id
    assert verify(site).holds


def test_a_second_import_brings_nothing_twice(site, mlruns):
    first = take(site, mlruns)
    before = kept(site)

    second = take(site, mlruns)

    assert second.counts()["runs"] == second.counts()["versions"] == second.counts()["files"] == 0
    assert second.known["runs"] == first.counts()["runs"]
    assert second.refused == {}
    assert kept(site) == before


def test_an_import_that_was_broken_off_goes_on_where_it_ended(site, mlruns):
    steps: list[str] = []

    def break_off(text: str) -> None:
        steps.append(text)
        if len([one for one in steps if one.startswith("run ")]) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take(site, mlruns, on_step=break_off)
    rest = take(site, mlruns)

    assert rest.known["runs"] == 2
    assert rest.counts()["runs"] == WHOLE["runs"] - 2
    assert rest.refused == {}
    assert sum(len(runs) for runs in kept(site).values()) == WHOLE["runs"]


def test_a_dry_run_counts_the_same_and_writes_nothing(site, mlruns):
    tally = take(site, mlruns, dry=True)

    assert {key: value for key, value in tally.counts().items() if key in WHOLE} == WHOLE
    assert kept(site) == {"Default": {}}
    assert list(site.blobs.digests()) == []


def test_an_experiment_of_a_name_that_is_here_takes_the_runs(site, mlruns):
    from ropewalk.runs import experiments

    here = site.db.write(lambda tx: experiments.create(tx, site, "first"))

    tally = take(site, mlruns)

    assert tally.known["experiments"] == 2
    assert kept(site)["first"]["whole"].experiment == str(here.id)


def test_files_elsewhere_and_links_are_not_opened(site, mlruns, tmp_path):
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("secret")
    copy = Path(shutil.copytree(mlruns, tmp_path / "mlruns"))
    (meta,) = [one for one in copy.glob("*/*/meta.yaml") if "run_name: whole\n" in one.read_text()]
    shutil.rmtree(meta.parent / "artifacts")
    text = meta.read_text()
    (old,) = [line for line in text.splitlines() if line.startswith("artifact_uri")]
    meta.write_text(text.replace(old, f"artifact_uri: {secret}"))
    (child,) = [one for one in copy.glob("*/*/meta.yaml") if "run_name: child\n" in one.read_text()]
    (child.parent / "artifacts").mkdir(exist_ok=True)
    (child.parent / "artifacts" / "linked").symlink_to(secret)
    (child.parent / "artifacts" / "key").symlink_to(secret / "key")
    (child.parent / "params").mkdir(exist_ok=True)
    (child.parent / "params" / "stolen").symlink_to(secret / "key")

    tally = take(site, copy)

    assert list(tally.refused) == [f"files of {meta.parent.name}"]
    assert "is not below" in tally.refused[f"files of {meta.parent.name}"]
    ours = ProjectSource(site)
    runs = kept(site)["first"]
    assert ours.digests(runs["whole"]) == {}
    assert ours.digests(runs["child"]) == {}
    assert runs["child"].params == {}


def test_a_folder_that_was_moved_still_has_its_files(site, mlruns, tmp_path):
    moved = Path(shutil.copytree(mlruns, tmp_path / "elsewhere" / "mlruns"))

    assert take(site, moved).counts()["files"] == WHOLE["files"]


def test_a_damaged_record_is_named_and_the_rest_comes(site, mlruns, tmp_path):
    copy = Path(shutil.copytree(mlruns, tmp_path / "mlruns"))
    (path,) = copy.glob("*/*/metrics/loss/train")
    if path.parent.parent.parent.parent.name == "models":
        raise AssertionError
    path.write_text("not a point\n")

    tally = take(site, copy)

    run = path.parents[2].name
    assert list(tally.refused) == [f"run {run}"] or set(tally.refused) >= {f"run {run}"}
    assert "is not a time, a value and a step" in tally.refused[f"run {run}"]
    assert "failed" in kept(site)["first"]
    assert "whole" not in kept(site)["first"]


def test_the_command_imports_reports_and_says_what_is_next(mlruns, tmp_path, capsys):
    (tmp_path / "ropewalk.toml").write_text('name = "lab"\n')

    assert main(["--project", str(tmp_path), "import", "mlflow", str(mlruns), "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert told["result"]["counts"]["runs"] == WHOLE["runs"]
    assert told["result"]["digest"].startswith("sha256:")
    assert len(told["result"]["digests"]) == WHOLE["runs"]
    assert told["next"][-1].endswith("ropewalk verify")


@pytest.mark.parametrize("kind", ["nothing", "empty folder", "text", "other database", "scheme"])
def test_what_is_no_source_is_refused(tmp_path, kind):
    path = tmp_path / "it"
    if kind == "empty folder":
        path.mkdir()
    elif kind == "text":
        path.write_text("hello")
    elif kind == "other database":
        from ropewalk.store.sqlitefile import SqliteFile

        SqliteFile(path).change([("create table a (b)", {})])

    with pytest.raises((Invalid, NotFound)) as told:
        open_source("postgresql://host/db" if kind == "scheme" else str(path))
    assert told.value.code == ("exchange-source-missing" if kind == "nothing" else "exchange-source-unknown")
