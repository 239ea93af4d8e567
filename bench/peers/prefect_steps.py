"""Prefect with persisted results and its own local server. `prefect_steps.py FOLDER SHAPE STEPS`."""

import os
import sys

FOLDER, SHAPE, STEPS = sys.argv[1], sys.argv[2], int(sys.argv[3])
os.environ["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"] = "100"
os.environ.update(
    {"PREFECT_HOME": f"{FOLDER}/prefect", "PREFECT_LOGGING_LEVEL": "ERROR", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
)

from prefect import flow, task  # noqa: E402 - it reads the environment when it is imported
from prefect.cache_policies import INPUTS, TASK_SOURCE  # noqa: E402


@task(persist_result=True, cache_policy=INPUTS + TASK_SOURCE)
def more(number: int) -> int:
    return number + 1


@flow
def walk() -> int:
    number = 0
    if SHAPE == "chain":
        for _ in range(STEPS):
            number = more(number)
        return number
    return sum(future.result() for future in [more.submit(at) for at in range(STEPS)])


assert walk()
