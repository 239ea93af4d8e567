"""A script that logs to MLflow, or leaves that to autologging, logs to the run's own port, below the script's run."""

from __future__ import annotations

import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from ropewalk.house import run_script
from ropewalk.runs import keep, search
from ropewalk.runs import run as runs
from ropewalk.scripts.program import program_of
from ropewalk.scripts.run import Wanted

STOCK = Path(__file__).parent.parent.parent / ".venv-mlflow" / "bin" / "python"


@pytest.mark.parametrize(
    ("text", "autolog", "said"),
    [
        ("import lightning", True, b"autologging\n"),
        ("import lightning", False, b""),
        ("import lightning  # and mlflow is its own affair", True, b""),
        ("print('needs none of them')", True, b"needs none of them\n"),
    ],
    ids=["left-to-us", "told-not-to", "speaks-mlflow", "no-library"],
)
def test_autologging_is_turned_on_for_a_script_that_leaves_it_to_us(shop, monkeypatch, text, autolog, said):
    shop.write("libraries/mlflow.py", "def autolog(**given):\n    print('autologging')\n")
    shop.write("libraries/flask.py", "")
    shop.write("libraries/lightning.py", "")
    shop.write("train.py", text)
    monkeypatch.setenv("PYTHONPATH", str(shop.root / "libraries"))
    knocked: list[object] = []

    done = run_script(
        shop.house,
        program_of(["train.py"]),
        Wanted(model="m", autolog=autolog),
        tracking=lambda door: nullcontext(knocked.append(door)),
    )

    assert (done.status, done.seen.troubles) == (0, ())
    assert shop.files(done)["ropewalk/stdout.txt"] == said
    assert knocked == []  # nobody asked the port, so nobody served it


def ropewalk(shop, *words: str) -> str:
    command = [sys.executable, "-m", "ropewalk", *words]
    done = subprocess.run(command, cwd=shop.root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)  # whole libraries are imported, by several processes
@pytest.mark.skipif(not STOCK.exists(), reason="MLflow's client is tried where `make stock` has made .venv-mlflow")
def test_the_stock_client_logs_below_the_scripts_run_and_what_it_said_is_shown_there(shop):
    shop.write(
        "logs.py",
        """
        import mlflow
        mlflow.set_experiment("flowers")
        with mlflow.start_run():
            mlflow.log_param("depth", 3)
            mlflow.log_metric("auc", 0.75, step=2)
            mlflow.log_text("kept", "notes.txt")
        """,
    )
    shop.write(
        "leaves_it.py",
        """
        from sklearn.linear_model import LinearRegression
        LinearRegression().fit([[1.0], [2.0], [3.0]], [2.0, 4.0, 6.0])
        """,
    )

    said = ropewalk(shop, "run", "--", str(STOCK), "logs.py")
    ropewalk(shop, "run", "--model", "line", "--", str(STOCK), "leaves_it.py")

    assert "logged here by its own client" in said
    with shop.house.site.db.read() as rows:
        logs, auto = (runs.find(rows, name) for name in ("logs-1", "leaves_it-1"))
        below = [one for one in search.search(rows).runs if one.parent]
        values = {one.id: {point.key: point.value for point in keep.metrics(rows, one.id)} for one in (logs, auto)}
        given = {fact.key: fact.value for one in (logs, auto) for fact in keep.facts(rows, one.id, "param")}
    assert sorted(one.parent for one in below) == [logs.id, auto.id]
    assert {one.state for one in below} == {"finished"}
    assert values[logs.id]["auc"] == 0.75
    assert values[auto.id]["training_r2_score"] == pytest.approx(1)
    assert (given["depth"], given["fit_intercept"]) == ("3", "True")
