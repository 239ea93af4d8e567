"""Runs of an orchestrator beside each other: with other arguments, with the same step to do, with names alike."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from types import SimpleNamespace
from urllib.parse import quote

from exports.lettered import notes
from exports.ordered import text_of
from ropewalk import leases
from ropewalk.pipelines.closing import end_run
from ropewalk.pipelines.onestep import Asked, StepResult, run_step
from ropewalk.pipelines.orchestrated import StepLease, require_key, step_lease

PLAIN = "pipeline.py:plain"


def asked(number: int = 1, **args: object) -> Asked:
    return Asked(target=PLAIN, args=args, key=f"airflow:plain/{number}")


def one(project, name: str, number: int = 1, **args: object) -> StepResult:
    project.site.clock.advance(1)
    return run_step(project.site, asked(number, **args), name, workers_max=1)


def test_other_arguments_within_one_run_of_the_orchestrator_are_a_run_beside(project):
    few = one(project, "load", month=3)
    many = one(project, "load", month=5)

    done = [one(project, name, month=month) for name in ("fit", "fit-2", "best") for month in (3, 5)]

    assert few.run.id != many.run.id
    assert [result.run.id for result in done] == [few.run.id, many.run.id] * 3
    assert [result.run.state for result in done[-2:]] == ["finished", "finished"]
    assert end_run(project.site, PLAIN, {"month": 3}, "airflow:plain/1").id == few.run.id
    assert notes(project.site.root) == {"load": 2, "fit": 4, "best": 2}


def test_two_runs_that_want_the_same_step_at_once_run_it_once(project):
    root = project.site.root
    project.edit("pipeline.py", 'note("fit")\n', 'note("fit")\n    open("gate").read()\n')
    os.mkfifo(root / "gate")
    for number in (1, 2):
        one(project, "load", number)
    waited: list[StepLease] = []
    words = [sys.executable, "-m", "ropewalk", "--project", str(root), "step", "fit", PLAIN, "--run", "airflow:plain/1"]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as holder:
        opened = open(root / "gate", "w")  # noqa: SIM115, PTH123 - opens when the step reads: it runs then

        def wait(_seconds: float) -> None:
            opened.close()
            holder.wait(60)

        done = run_step(project.site, asked(2), "fit", workers_max=1, on_wait=waited.append, wait=wait)

    assert holder.returncode == 0
    assert [(lease.pid, lease.node) for lease in waited] == [(holder.pid, "fit")]
    assert (done.step.state, done.hit) == ("cached", True)
    assert notes(root) == {"load": 1, "fit": 1}
    with project.site.db.read() as rows:
        assert step_lease(rows, f"outcome {done.step.key}", "fit") is None


def test_who_died_over_a_step_keeps_no_other_run_from_it(project):
    one(project, "load")
    (project.site.root / "fail-in-fit").touch()
    key = one(project, "fit").step.key
    dead = {"host": leases.take(0, 1).host, "boot": leases.boot_id(), "pid": 1, "born": 1, "expires_us": 1 << 60}
    dead |= {"run_id": f"outcome {key}", "node": "fit", "fence": 4, "failures": 0}
    project.site.db.write(lambda tx: tx.run("pipelines.take_step_lease", **dead))

    one(project, "load", 2)
    done = one(project, "fit", 2)

    assert done.step.key == key
    assert done.step.state == "done"
    with project.site.db.read() as rows:
        assert step_lease(rows, f"outcome {key}", "fit") is None


def test_no_two_runs_of_airflow_have_one_name(exported):
    tree = ast.parse(text_of(exported, "airflow"))
    (named,) = [item for item in tree.body if isinstance(item, ast.FunctionDef) and item.name == "run_of"]
    space = {"quote": quote}
    exec(compile(ast.Module([named], []), "dag.py", "exec"), space)

    def name(run_id: str) -> str:
        return space["run_of"]({"dag": SimpleNamespace(dag_id="train"), "run_id": run_id})

    ids = ["a b", "a_b", "a%20b", "ä", "manual__2026-11-30T22:00:00.5+00:00"]
    assert len({require_key(name(one)) for one in ids}) == len(ids)
    assert name(ids[-1]) == f"airflow:train/{ids[-1]}"
