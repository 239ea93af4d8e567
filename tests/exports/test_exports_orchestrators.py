"""What is exported is run by the orchestrators themselves: killed, tried again, run again, with our values."""

from __future__ import annotations

from pathlib import Path

import pytest

from exports.lettered import notes
from exports.orchestrators import BIN, made, results, said
from ropewalk.cli import main

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not BIN.exists(), reason="ROPEWALK_TEST_EXPORTS=1 makes .venv-orchestrators"),
]


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What `ropewalk run` gives for each step."""
    root = tmp_path_factory.mktemp("ours") / "letters"
    made(root, "")
    assert main(["--project", str(root), "run", "pipeline.py:plain"]) == 0
    (run,) = results(root)
    return {node: digest for node, (_, digest) in run.items() if node}


def require_equal(root: Path, wanted: dict[str, str], run: int) -> None:
    """Pass only where every step of a run, by its place, has the value of our own run."""
    assert {node: digest for node, (_, digest) in results(root)[run].items() if node} == wanted


def states(root: Path, run: int) -> dict[str, str]:
    return {node: state for node, (state, _) in results(root)[run].items()}


DONE = {"": "finished", "load": "done", "fit": "done", "fit-2": "done", "best": "done"}
HITS = {"": "finished", "load": "cached", "fit": "cached", "fit-2": "cached", "best": "cached"}


def test_airflow_runs_every_step_tries_a_killed_one_again_and_takes_the_next_run_from_the_cache(tmp_path, wanted):
    root = tmp_path / "letters"
    file = made(root, "airflow")
    (root / "kill-in-best").touch()
    environ = {
        "AIRFLOW_HOME": str(tmp_path / "home"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(file.parent),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    assert said(["airflow", "db", "migrate"], tmp_path / "home", **environ).returncode == 0

    first = said(["airflow", "dags", "test", "plain"], tmp_path / "home", **environ)
    ran = notes(root)
    again = said(["airflow", "dags", "test", "plain"], tmp_path / "home", **environ)

    assert first.returncode == 0, first.stdout[-4000:] + first.stderr[-4000:]
    assert again.returncode == 0, again.stdout[-4000:] + again.stderr[-4000:]
    assert ran == {"load": 1, "fit": 2, "best": 2}
    assert "best is to be tried again (status -9)" in first.stdout + first.stderr
    assert notes(root) == ran
    assert (states(root, 0), states(root, 1), len(results(root))) == (DONE, HITS, 2)
    require_equal(root, wanted, 0)


def test_prefect_runs_every_step_tries_a_killed_one_again_and_takes_the_next_run_from_the_cache(tmp_path, wanted):
    root = tmp_path / "letters"
    file = made(root, "prefect")
    (root / "kill-in-best").touch()
    environ = {
        "PREFECT_HOME": str(tmp_path / "home"),
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "200",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }

    done = said(["python", str(Path(__file__).with_name("by_prefect.py")), str(file)], tmp_path / "home", **environ)

    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert "best is to be tried again (status -9)" in done.stdout + done.stderr
    assert notes(root) == {"load": 1, "fit": 2, "best": 2}
    assert (states(root, 0), states(root, 1), len(results(root))) == (DONE, HITS, 2)
    require_equal(root, wanted, 0)


def test_kubeflow_compiles_it_and_a_run_after_a_killed_one_does_what_was_left(tmp_path, wanted):
    root = tmp_path / "letters"
    file = made(root, "kubeflow", "--image", "example/letters:1", "--secret", "letters")
    (root / "kill-in-best").touch()
    words = ["python", str(Path(__file__).with_name("by_kubeflow.py")), str(file), str(tmp_path / "home"), "3"]

    done = said(words, tmp_path / "home", ROPEWALK_PROJECT=str(root))

    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert "compiled best,fit,fit-2,load\n" in done.stdout
    assert notes(root) == {"load": 1, "fit": 2, "best": 2}
    assert states(root, 0) == {**DONE, "": "running", "best": "interrupted"}
    assert (states(root, 1)["load"], states(root, 1)["best"]) == ("cached", "done")
    assert (states(root, 2), len(results(root))) == (HITS, 3)
    require_equal(root, wanted, 1)


def test_argos_own_models_read_what_is_exported_and_leave_nothing_out(tmp_path):
    root = tmp_path / "letters"
    made(root, "")
    words = ["export", "argo", "pipeline.py:train", "--image", "example/letters:1"]
    assert main(["--project", str(root), *words]) == 0
    script = str(Path(__file__).with_name("by_argo.py"))

    done = said(["python", script, str(root / "exports/argo/train.yaml")], tmp_path / "home")

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["WorkflowTemplate whole", "CronWorkflow whole"]
