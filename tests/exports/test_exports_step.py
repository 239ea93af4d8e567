"""One step of an orchestrator's run: run once, by one process, with what others gave it; and the run closed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from exports.lettered import notes
from ropewalk.cli import main
from ropewalk.errors import RopewalkError
from ropewalk.pipelines import outcomes
from ropewalk.pipelines.closing import end_run
from ropewalk.pipelines.kept import nodes_of
from ropewalk.pipelines.onestep import Asked, StepResult, run_step
from ropewalk.pipelines.orchestrated import SILENT_SECONDS, StepLease, step_lease
from ropewalk.runs import keep
from ropewalk.runs import run as runs

PLAIN = "pipeline.py:plain"
ORDER = ("load", "fit", "fit-2", "best")


def asked(key: str = "airflow:plain/1", **args: object) -> Asked:
    return Asked(target=PLAIN, args=args, key=key)


def one(project, name: str, key: str = "airflow:plain/1", **args: object) -> StepResult:
    project.site.clock.advance(1)
    return run_step(project.site, asked(key, **args), name, workers_max=1)


def value(project, done: StepResult) -> object:
    with project.site.db.read() as rows:
        return outcomes.value_of(project.site.blobs, outcomes.find(rows, done.step.key))


def run_of(project, key: str = "airflow:plain/1") -> runs.Run:
    with project.site.db.read() as rows:
        (row,) = rows.rows("pipelines.runs_of_pipeline", pipeline=PLAIN, count=1)
        return runs.get(rows, str(row["id"]))


def command(root: Path, *words: str, key: str = "airflow:plain/1", **environ: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "ropewalk", "--project", str(root), "step", *words, "--run", key]
    return subprocess.run(line, capture_output=True, text=True, check=False, env={**os.environ, **environ}, timeout=60)


def test_steps_one_by_one_are_one_run_that_the_last_one_finishes(project):
    whole = project.run(PLAIN)
    project.edit("pipeline.py", "return max(trials)", "return max(trials) + 0")
    project.edit("pipeline.py", "return list(range(month))", "return [*range(month)]")
    project.edit("pipeline.py", "return sum(rows) * leaves", "return leaves * sum(rows)")

    done = [one(project, name) for name in ORDER]

    assert {result.run.id for result in done} == {done[0].run.id} != {whole.run.id}
    assert [result.run.state for result in done] == ["running", "running", "running", "finished"]
    assert [(result.step.node, result.step.state, result.hit) for result in done] == [
        (name, "done", False) for name in ORDER
    ]
    assert value(project, done[-1]) == project.value(whole, "best") == 90
    with project.site.db.read() as rows:
        assert {point.key for point in keep.metrics(rows, done[0].run.id)} == {"fit_7", "fit_15"}
        assert [row.position for row in outcomes.steps_of(rows, done[0].run.id, running=False)] == [0, 1, 2, 3]
        (tag,) = [tag for tag in rows.rows("runs.tags", run_id=done[0].run.id) if tag["key"] == "ropewalk.orchestrator"]
    assert tag["value"] == "airflow:plain/1"


def test_a_step_that_is_done_is_a_hit_in_its_run_and_in_the_next_one(project):
    first = [one(project, name) for name in ORDER]

    again = [one(project, name) for name in ORDER]
    other = [one(project, name, key="airflow:plain/2") for name in ORDER]

    assert [result.hit for result in again] == [True] * 4
    assert again[0].run.id == first[0].run.id
    assert [result.step.state for result in other] == ["cached"] * 4
    assert other[-1].run.id != first[0].run.id
    assert other[-1].run.state == "finished"
    assert notes(project.site.root) == {"load": 1, "fit": 2, "best": 1}


def test_a_step_that_asks_the_world_runs_once_in_each_run_of_the_orchestrator(project):
    project.edit("pipeline.py", "@step\ndef load", "@step(cache=False)\ndef load")

    for key in ("airflow:plain/1", "airflow:plain/1", "airflow:plain/2"):
        for name in ORDER:
            one(project, name, key=key)

    assert notes(project.site.root) == {"load": 2, "fit": 2, "best": 1}


def test_a_step_without_its_inputs_says_which_are_missing(project):
    one(project, "load")

    with pytest.raises(RopewalkError) as caught:
        one(project, "best")

    assert caught.value.code == "step-inputs-missing"
    assert "fit, fit-2" in caught.value.why
    assert run_of(project).state == "running"
    with project.site.db.read() as rows:
        assert not step_lease(rows, run_of(project).id, "best").alive(project.site.clock.now_us())


def test_a_step_that_fails_may_be_tried_as_often_as_it_says_and_no_more(project):
    one(project, "load")
    (project.site.root / "fail-in-fit").touch()
    first = one(project, "fit")
    (project.site.root / "fail-in-fit").touch()

    second = one(project, "fit")
    third = one(project, "fit")

    assert (first.again, first.step.state, first.step.attempt) == (True, "failed", 1)
    assert (second.again, second.step.attempt) == (False, 2)
    assert "fit was told to fail" in str(second.error)
    assert (third.step.state, third.step.attempt, third.error) == ("done", 3, None)
    with project.site.db.read() as rows:
        tried = rows.rows("pipelines.attempts_of_step", run_id=third.run.id, node="fit", count=9)
        assert [row["attempt"] for row in tried] == [2, 1]
        assert len(nodes_of(rows, project.site.blobs, third.run.id)) == 4


def test_a_run_is_closed_with_what_failed_and_a_cleared_step_goes_on_in_a_new_one(project):
    one(project, "load")
    (project.site.root / "fail-in-fit").touch()
    one(project, "fit")

    failed = end_run(project.site, PLAIN, {}, "airflow:plain/1")
    again = end_run(project.site, PLAIN, {}, "airflow:plain/1")
    cleared = [one(project, name) for name in ORDER[1:]]
    closed = end_run(project.site, PLAIN, {}, "airflow:plain/1")

    assert (failed.state, failed.error) == ("failed", "fit failed; fit-2, best did not run")
    assert again == failed
    assert cleared[0].run.id != failed.id
    assert closed.id == cleared[0].run.id
    assert closed.state == "finished"
    with project.site.db.read() as rows:
        states = {row.node: row.state for row in outcomes.steps_of(rows, closed.id, running=False)}
    assert states == {"load": "cached", "fit": "done", "fit-2": "done", "best": "done"}
    assert notes(project.site.root)["load"] == 1


def test_a_step_of_a_graph_that_was_not_exported_is_refused(project):
    def with_structure(structure: str, **args: object) -> None:
        run_step(project.site, Asked(target=PLAIN, args=args, key="airflow:a/1", structure=structure), "load")

    from ropewalk.pipelines.describe import described

    with described(project.site, PLAIN, {}, workers_max=1) as opened:
        structure = opened.graph.structure().removeprefix("sha256:")[:16]

    with_structure(structure, month=5)
    with pytest.raises(RopewalkError, match="other steps"):
        with_structure(structure, leaves="7,15,31")


def test_a_step_that_the_pipeline_does_not_have_is_refused_with_the_nearest(project):
    with pytest.raises(RopewalkError) as caught:
        one(project, "fits")

    assert caught.value.code == "step-not-in-pipeline"
    assert "fit" in caught.value.why


def test_code_that_changes_while_the_run_goes_on_begins_a_new_run_that_has_what_did_not_change(project):
    one(project, "load")
    one(project, "fit")
    before = run_of(project)
    project.edit("pipeline.py", "return sum(rows) * leaves", "return sum(rows) * leaves + 1")

    with pytest.raises(RopewalkError) as caught:
        one(project, "best")
    done = [one(project, name) for name in ("fit", "fit-2", "best")]

    assert caught.value.code == "step-inputs-missing"
    assert done[-1].run.id != before.id
    assert value(project, done[-1]) == 91
    with project.site.db.read() as rows:
        assert runs.get(rows, before.id).state == "interrupted"
    assert notes(project.site.root)["load"] == 1


def test_two_processes_do_not_run_one_step_and_the_second_waits_for_the_first(project):
    root = project.site.root
    project.edit("pipeline.py", 'note("fit")\n', 'note("fit")\n    open("gate").read()\n')
    os.mkfifo(root / "gate")
    assert command(root, "load", PLAIN).returncode == 0
    waited: list[StepLease] = []
    words = [sys.executable, "-m", "ropewalk", "--project", str(root), "step", "fit", PLAIN, "--run", "airflow:plain/1"]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as holder:
        opened = open(root / "gate", "w")  # noqa: SIM115, PTH123 - opens when the step reads: it runs then

        def wait(_seconds: float) -> None:
            opened.close()
            holder.wait(60)

        done = run_step(project.site, asked(), "fit", workers_max=1, on_wait=waited.append, wait=wait)

    assert [lease.pid for lease in waited] == [holder.pid]
    assert holder.returncode == 0
    assert done.hit
    assert notes(root)["fit"] == 1


@pytest.mark.fault
def test_a_killed_step_is_run_again_at_once_and_what_was_done_before_is_not(project):
    root = project.site.root
    assert command(root, "load", PLAIN).returncode == 0
    (root / "kill-in-fit").touch()

    killed = command(root, "fit", PLAIN)
    again = command(root, "fit", PLAIN)

    assert killed.returncode == -signal.SIGKILL
    assert again.returncode == 0
    assert "attempt 2" in again.stdout
    assert notes(root) == {"load": 1, "fit": 2}


def test_a_holder_that_comes_back_from_the_dead_stores_nothing(project):
    one(project, "load")

    def steal(_progress: object) -> None:
        def work(tx):
            run = run_of(project)
            lease = step_lease(tx, run.id, "fit")
            fields = ("run_id", "node", "host", "boot", "pid", "born", "expires_us", "fence", "failures")
            values = {name: getattr(lease, name) for name in fields}
            tx.run("pipelines.take_step_lease", **values | {"fence": lease.fence + 1})

        project.site.db.write(work)

    with pytest.raises(RopewalkError) as caught:
        run_step(project.site, asked(), "fit", on_progress=steal, workers_max=1)

    assert caught.value.code == "step-lease-lost"
    with project.site.db.read() as rows:
        assert {row.node for row in rows.all(outcomes.Outcome, "pipelines.outcomes")} == {"load"}


def test_a_run_that_nobody_drives_for_a_day_is_interrupted_and_gone_on_with(project):
    one(project, "load")
    project.site.clock.advance(SILENT_SECONDS + 1)

    silent = project.site.db.write(lambda tx: runs.interrupt_dead(tx, project.site))
    done = one(project, "fit")

    assert [(run.state, run.error) for run in silent] == [("interrupted", "it is driven by airflow, which fell silent")]
    assert done.run.id == silent[0].id
    assert done.run.state == "running"


def test_a_cancelled_run_lets_no_further_step_begin(project):
    from ropewalk.pipelines.cancel import cancel

    done = one(project, "load")

    cancel(project.site, done.run.id)

    with pytest.raises(RopewalkError) as caught:
        one(project, "fit")
    assert caught.value.code == "run-cancelled"


def test_a_map_is_one_step_whose_items_are_kept_when_it_is_killed(project):
    target = "pipeline.py:train"
    done = [
        run_step(project.site, Asked(target=target, args={}, key="argo:a/1"), name, workers_max=2)
        for name in ("load", "double")
    ]

    assert done[1].step.state == "done"
    assert value(project, done[1]) == [0, 2, 4, 6]
    assert notes(project.site.root)["double"] == 4


def test_the_exit_status_says_whether_to_try_again(project):
    root = project.site.root
    one(project, "load")
    (root / "fail-in-fit").touch()
    once = command(root, "fit", PLAIN)
    (root / "fail-in-fit").touch()
    twice = command(root, "fit", PLAIN)
    closed = command(root, "--end", PLAIN)

    assert [once.returncode, twice.returncode, closed.returncode] == [75, 1, 1]
    assert "ValueError: fit was told to fail" in once.stdout
    assert "error[step-failed]" in once.stderr
    assert "may try it again" in once.stdout
    assert "plain-1 failed: fit failed; fit-2, best did not run" in closed.stdout


def test_what_a_step_prints_is_handed_on_and_machines_get_one_object(project, capsys):
    words = ["step", "load", PLAIN, "--run", "airflow:plain/1"]

    printed = main(["--project", str(project.site.root), *words]), capsys.readouterr().out
    machine = main(["--project", str(project.site.root), "--json", *words]), capsys.readouterr().out

    assert printed[0] == machine[0] == 0
    assert "loading month 4\nload done, attempt 1; plain-1 running\n" in printed[1]
    result = json.loads(machine[1])["result"]
    assert (result["step"], result["state"], result["hit"], result["name"]) == ("load", "done", True, "plain-1")


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (["best", PLAIN, "--run", "airflow:plain/1"], 1, "step-inputs-missing"),
        (["--end", PLAIN, "--run", "airflow:plain/none"], 1, "orchestrated-run-unknown"),
        (["load", PLAIN, "--run", "nothing"], 1, "orchestrated-key"),
        (["month=3", PLAIN, "--run", "airflow:plain/1"], 2, "usage"),
    ],
)
def test_what_no_further_attempt_would_mend_is_not_to_be_tried_again(project, capsys, words, status, code):
    found = main(["--project", str(project.site.root), "step", *words])

    assert (found, f"error[{code}]" in capsys.readouterr().err) == (status, True)


def test_a_step_that_is_asked_to_end_gives_itself_back(project):
    root = project.site.root
    assert command(root, "load", PLAIN).returncode == 0
    project.edit("pipeline.py", 'note("best")\n', 'note("best")\n    open("gate").read()\n')
    os.mkfifo(root / "gate")
    for name in ("fit", "fit-2"):
        assert command(root, name, PLAIN).returncode == 0
    words = [sys.executable, "-m", "ropewalk", "--project", str(root), "--json", "step", "best", PLAIN]
    child = subprocess.Popen([*words, "--run", "airflow:plain/1"], stdout=subprocess.PIPE, text=True)
    with open(root / "gate", "w"):  # noqa: PTH123 - opens when the step reads: it runs then
        child.terminate()
        said = child.communicate(timeout=60)[0]

    assert child.returncode == 75
    assert '"step-interrupted"' in said
    with project.site.db.read() as rows:
        lease = step_lease(rows, run_of(project).id, "best")
    assert (lease.host, lease.failures) == ("", 0)
