"""Dagster in one process with its runs kept: a chain or a fan of ops. `dagster_steps.py FOLDER SHAPE STEPS`."""

import os
import sys

FOLDER, SHAPE, STEPS = sys.argv[1], sys.argv[2], int(sys.argv[3])
os.environ["DAGSTER_HOME"] = FOLDER
os.environ["DAGSTER_DISABLE_TELEMETRY"] = "1"

from dagster import DagsterInstance, job, op  # noqa: E402 - it reads the environment when it is imported


@op
def first() -> int:
    return 0


@op
def more(number: int) -> int:
    return number + 1


@job
def walk():
    number = first()
    for _ in range(STEPS):
        found = more(number)
        number = found if SHAPE == "chain" else number


assert walk.execute_in_process(instance=DagsterInstance.get()).success
