"""Airflow: a chain or a fan of tasks run by `airflow dags test`. `airflow_steps.py FOLDER prepare|SHAPE STEPS`.

It has no cache: what ran once runs again. `prepare` makes its database, which nobody does for each run.
"""

import os
import subprocess
import sys
from pathlib import Path

FOLDER, SHAPE, STEPS = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
ENVIRON = os.environ | {
    "AIRFLOW_HOME": str(FOLDER / "airflow"),
    "AIRFLOW__CORE__DAGS_FOLDER": str(FOLDER / "dags"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
}
DAG = """
from airflow.sdk import dag, task

@task
def more(number: int) -> int:
    return number + 1

@dag(schedule=None)
def walk():
    number = 0
    for at in range({steps}):
        number = more(number if {chain} else at)

walk()
"""

if SHAPE == "prepare":
    subprocess.run(["airflow", "db", "migrate"], env=ENVIRON, check=True, stdout=subprocess.DEVNULL)
else:
    (FOLDER / "dags").mkdir(exist_ok=True)
    (FOLDER / "dags" / "walk.py").write_text(DAG.format(steps=STEPS, chain=SHAPE == "chain"))
    # It ends with 1 where the run failed.
    subprocess.run(["airflow", "dags", "test", "walk"], env=ENVIRON, check=True, stdout=subprocess.DEVNULL)
