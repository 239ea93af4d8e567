"""Logs until it is killed, its server away: a script that says which metric is safe, a line each, once it is.

Words: the server's address, the folder of the journals, how many metrics.
"""

import json
import sys
from pathlib import Path

from ropewalk.tracking.carrier import Carrier, Request

carrier = Carrier(sys.argv[1], Path(sys.argv[2]), heartbeat_seconds=0, tell=lambda _: None)
carrier._halt = True  # nobody sends while it is filled


def say(kind: str, body: dict) -> dict:
    """Make one call as MLflow's client does."""
    asked = Request(
        method="POST",
        target=f"/api/2.0/mlflow/{kind}",
        headers={"Content-Type": "application/json"},
        body=json.dumps(body).encode(),
    )
    found = carrier.carry(asked, lambda _: None)
    assert found is not None
    return json.loads(found.body)


run = say("runs/create", {"experiment_id": "0", "run_name": "killed"})["run"]["info"]["run_id"]
for step in range(int(sys.argv[3])):
    say("runs/log-metric", {"run_id": run, "key": "loss", "value": step / 7, "timestamp": 5, "step": step})
    sys.stdout.write(f"{step}\n")
    sys.stdout.flush()
sys.stdout.write("whole\n")
sys.stdout.flush()
sys.stdin.read()
