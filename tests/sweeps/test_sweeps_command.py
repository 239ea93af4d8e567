"""`ropewalk sweep` on real projects: trials as runs, refused before they run, failed, killed and gone on with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from ropewalk.cli import main
from ropewalk.evidence.verify import verify
from ropewalk.house import open_house
from ropewalk.runs import keep, search
from ropewalk.runs import run as runs
from ropewalk.sweeps import sweep as sweeps
from store.postgres_places import needs_postgres, new_place

PIPELINE = """
import os
import signal
import time
from enum import Enum

from ropewalk import log_metric, pipeline, step


class Colour(Enum):
    RED = 1
    BLUE = 2


def told(depth):
    with open(os.environ["TOLD"], "a") as file:
        print(depth, file=file)


def first_time(name):
    try:
        os.remove(os.environ["TOLD"] + name)
    except FileNotFoundError:
        return False
    return True


@step
def fit(depth: int, rate: float) -> float:
    told(depth)
    if depth == 4 and first_time("-kill"):
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    if depth == 4 and first_time("-stop"):
        os.kill(os.getppid(), signal.SIGINT)
        time.sleep(60)
    if depth == 5:
        raise ValueError("five is right out")
    return (depth - 6) ** 2 + rate


@step
def score(loss: float) -> None:
    log_metric("loss", loss)


@pipeline
def train(depth: int = 3, rate: float = 0.5, colour: Colour = Colour.RED):
    score(fit(depth, rate))
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pipeline.py").write_text(PIPELINE)
    monkeypatch.setenv("TOLD", str(tmp_path / "told"))
    return folder


def apart(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ropewalk", "--project", str(root), "sweep", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def fitted() -> Counter[str]:
    path = Path(os.environ["TOLD"])
    return Counter(path.read_text().split()) if path.exists() else Counter()


def asked(capsys: pytest.CaptureFixture[str], root: Path, *words: str) -> dict:
    status = main(["--project", str(root), "--json", "sweep", *words])
    return {"status": status, **json.loads(capsys.readouterr().out)}


def test_each_trial_is_a_run_below_the_sweep_and_failed_ones_do_not_end_it(root, capsys):
    said = asked(capsys, root, "depth=4,5,6", "colour=BLUE", "--goal", "loss:min")

    assert said["status"] == 0
    result = said["result"]
    assert result["counts"] == {"waiting": 0, "running": 0, "done": 2, "failed": 1}
    assert (result["best"]["args"], result["best"]["value"]) == ({"depth": "6", "colour": "BLUE"}, 0.5)
    assert "five is right out" in result["trials"][1]["error"]
    assert said["next"][0] == "ropewalk run pipeline.py:train depth=6 colour=BLUE"
    with open_house(root) as house, house.site.db.read() as rows:
        children = search.search(rows, f"tags.mlflow.parentRunId = '{result['run']}'").runs
        parent = runs.get(rows, result["run"])
        best = runs.get(rows, result["best"]["run"])
        params = {fact.key: fact.value for fact in keep.facts(rows, best.id, "param")}
        noted = {fact.key: fact.value for fact in keep.facts(rows, parent.id, "param")}
        metrics = {point.key: point.value for point in keep.metrics(rows, parent.id)}
    assert sorted(run.id for run in children) == sorted(trial["run"] for trial in result["trials"])
    assert (parent.state, parent.kind, parent.name) == ("finished", "sweep", "train-sweep-1")
    assert best.arguments() == {"depth": 6, "rate": 0.5, "colour": "BLUE"}
    assert params == {"depth": "6", "colour": "BLUE"}
    assert (noted["best_depth"], metrics) == ("6", {"best_loss": 0.5})
    with open_house(root) as house:
        assert verify(house.site).findings == ()

    assert main(["--project", str(root), "run", *said["next"][0].split()[2:]]) == 0
    assert fitted() == {"4": 1, "5": 1, "6": 1}  # the best one again: from the cache


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["depth=4,six"], "argument-unreadable"),
        (["depth=4..8", "rate=0.1..0.2"], "sweep-range-unreadable"),
        (["colour=RED,GREEN"], "argument-unreadable"),
        (["colour=GREEN", "--optuna", "3", "--goal", "loss:min"], "argument-unreadable"),
        (["deep=1"], "argument-unknown"),
        (["depth=1", "--optuna", "3"], "sweep-goal-unreadable"),
        (["depth=1", "--goal", "loss:up"], "sweep-goal-unreadable"),
        (["depth=1", "--random", "0"], "usage"),
        (["--random", "2"], "usage"),
        (["train.py:train", "depth=1"], "pipeline-file-not-found"),
        (["pipeline.py:other", "depth=1"], "pipeline-not-found"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_runs(root, capsys, words, code):
    said = asked(capsys, root, *words)

    assert said["status"] != 0
    assert said["error"]["code"] == code
    assert not fitted()
    if (root / ".ropewalk").exists():
        with open_house(root) as house, house.site.db.read() as rows:
            assert search.search(rows).runs == ()


def test_a_dry_run_shows_the_trials_and_records_nothing(root, capsys):
    said = asked(capsys, root, "depth=1..9", "rate=0.001..1:log", "--random", "3", "--seed", "2", "--dry-run")
    again = asked(capsys, root, "depth=1..9", "rate=0.001..1:log", "--random", "3", "--seed", "2", "--dry-run")

    assert said["result"]["trials"] == again["result"]["trials"]
    assert said["result"]["count"] == len(said["result"]["trials"]) == 3
    assert not fitted()
    with open_house(root) as house, house.site.db.read() as rows:
        assert search.search(rows).runs == ()


def test_too_many_failures_end_it(root, capsys):
    said = asked(capsys, root, "depth=5", "rate=1,2,3,4", "--failures-max", "1", "--parallel", "1")

    assert said["error"]["code"] == "sweep-failed"
    assert "five is right out" in said["error"]["why"]
    assert fitted() == {"5": 2}


def test_a_metric_that_nobody_logs_is_a_failure_that_names_those_there_are(root, capsys):
    said = asked(capsys, root, "depth=6", "--goal", "auc")

    assert said["error"]["code"] == "sweep-failed"
    assert "no metric 'auc': it logged loss" in said["error"]["why"]


@pytest.mark.parametrize("search_words", [["depth=3,4,6,7"], ["depth=4..4", "rate=0.1..1.0", "--optuna", "4"]])
def test_a_killed_sweep_goes_on_and_no_trial_runs_twice(root, search_words):
    Path(os.environ["TOLD"] + "-kill").touch()
    words = [*search_words, "--goal", "loss:min", "--parallel", "1"]

    killed, last = apart(root, *words), apart(root, *words)

    assert killed.returncode == -signal.SIGKILL
    assert last.returncode == 0, last.stderr
    assert "resumed" in last.stdout
    with open_house(root) as house:
        with house.site.db.read() as rows:
            found = search.search(rows).runs
            (parent,) = [run for run in found if run.kind == "sweep"]
            trials = sweeps.page(rows, parent.id)
        assert verify(house.site).findings == ()
    assert {run.state for run in found} == {"finished"}
    assert len(found) == 1 + len(trials) == 5  # the killed trial's run was gone on with
    assert len({trial.run for trial in trials}) == len({trial.args for trial in trials}) == 4
    if len(search_words) == 1:
        assert fitted() == {"3": 1, "4": 2, "6": 1, "7": 1}


def test_ctrl_c_ends_it_cleanly_and_the_command_it_names_goes_on(root):
    Path(os.environ["TOLD"] + "-stop").touch()
    words = ["depth=3,4,6", "--goal", "loss:min", "--parallel", "1"]

    stopped = apart(root, *words)

    assert stopped.returncode not in (0, -signal.SIGINT)
    assert "error[sweep-interrupted]" in stopped.stderr
    assert "sweep depth=3,4,6 --parallel 1 --goal loss:min" in stopped.stderr
    with open_house(root) as house, house.site.db.read() as rows:
        states = Counter(run.state for run in search.search(rows).runs)
    assert states == {"finished": 1, "interrupted": 2}
    last = apart(root, *words)
    assert last.returncode == 0, last.stderr
    assert fitted() == {"3": 1, "4": 2, "6": 1}


def test_changed_code_is_another_sweep_whose_unchanged_steps_come_from_the_cache(root, capsys):
    first = asked(capsys, root, "depth=3,6", "--goal", "loss:min")
    text = (root / "pipeline.py").read_text()
    (root / "pipeline.py").write_text(text.replace('log_metric("loss", loss)', 'log_metric("loss", loss * 2)'))

    second = asked(capsys, root, "depth=3,6", "--goal", "loss:min")

    assert (first["result"]["best"]["value"], second["result"]["best"]["value"]) == (0.5, 1.0)
    assert second["result"]["name"] == "train-sweep-2"
    assert fitted() == {"3": 1, "6": 1}


def test_what_a_step_declares_to_read_has_changed_since_the_kill_and_nothing_stale_stays(root, monkeypatch):
    text = (root / "pipeline.py").read_text()
    (root / "pipeline.py").write_text(text.replace("@step\ndef fit", '@step(reads=["env:REGION"])\ndef fit'))
    Path(os.environ["TOLD"] + "-kill").touch()
    words = ["depth=3,4", "--goal", "loss:min", "--parallel", "1"]
    monkeypatch.setenv("REGION", "north")
    assert apart(root, *words).returncode == -signal.SIGKILL
    monkeypatch.setenv("REGION", "south")

    last = apart(root, *words)

    assert last.returncode == 0, last.stderr
    assert "train-sweep-2: 2 trials" in last.stdout
    assert fitted() == {"3": 2, "4": 2}


@needs_postgres
def test_a_killed_sweep_goes_on_on_postgresql_too(root):
    with new_place() as place:
        (root / "ropewalk.toml").write_text(f'name = "swept"\n[store]\nurl = "{place}"\n')
        Path(os.environ["TOLD"] + "-kill").touch()
        words = ["depth=3,4,6", "--goal", "loss:min", "--parallel", "1"]

        killed, last = apart(root, *words), apart(root, *words)

        assert killed.returncode == -signal.SIGKILL
        assert last.returncode == 0, last.stderr
        assert "best: trial 3, loss 0.5" in last.stdout
        with open_house(root) as house, house.site.db.read() as rows:
            assert Counter(run.state for run in search.search(rows).runs) == {"finished": 4}
        assert fitted() == {"3": 1, "4": 2, "6": 1}
