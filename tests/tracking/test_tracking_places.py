"""What was seen in one workspace is told in no other while the server is away: the same names mean other things."""

from __future__ import annotations

import json
from pathlib import Path

from ropewalk.tracking.carrier import Carrier, Request, Response
from ropewalk.tracking.wire import WORKSPACE


def test_an_outage_tells_each_workspace_its_own(tmp_path: Path) -> None:
    carrier = Carrier("http://127.0.0.1:9", tmp_path, heartbeat_seconds=0, tell=print)

    def ask(workspace: str, answer: dict[str, object] | None) -> Response | None:
        target = "/api/2.0/mlflow/experiments/get-by-name?experiment_name=churn"
        asked = Request(method="GET", target=target, headers={WORKSPACE: workspace} if workspace else {})
        given = None if answer is None else Response(status=200, body=json.dumps(answer).encode())
        return carrier.carry(asked, lambda _: given)

    for workspace, number in (("team-a", "7"), ("", "9")):
        ask(workspace, {"experiment": {"experiment_id": number, "name": "churn"}})
    away = {workspace: ask(workspace, None) for workspace in ("team-a", "", "team-b")}

    found = {name: json.loads(one.body).get("experiment", {}).get("experiment_id") for name, one in away.items() if one}
    assert found == {"team-a": "7", "": "9", "team-b": None}
