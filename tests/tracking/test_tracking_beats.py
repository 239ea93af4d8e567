"""A running run is said to live where it began, whichever workspace its process names by then."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from ropewalk.tracking.carrier import Carrier, Request, Response
from ropewalk.tracking.wire import WORKSPACE


def test_a_run_lives_in_the_workspace_in_which_it_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[tuple[str, str]] = []

    class Server(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            heard.append((body["run_id"], self.headers.get(WORKSPACE, "")))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    carrier = Carrier(f"http://127.0.0.1:{server.server_port}", tmp_path, heartbeat_seconds=15, tell=print)
    carrier._halt = True

    def say(kind: str, body: dict[str, str], workspace: str, answer: dict[str, object]) -> None:
        headers = {"Content-Type": "application/json"} | ({WORKSPACE.lower(): workspace} if workspace else {})
        target = f"/api/2.0/mlflow/{kind}"
        asked = Request(method="POST", target=target, headers=headers, body=json.dumps(body).encode())
        carrier.carry(asked, lambda _: Response(status=200, body=json.dumps(answer).encode()))

    try:
        for workspace in ("team-a", "", "gone"):
            info = {"info": {"run_id": f"run in {workspace}"}}
            say("runs/create", {"experiment_id": "0"}, workspace, {"run": info})
        say("runs/update", {"run_id": "run in gone", "status": "FINISHED"}, "gone", {})
        monkeypatch.setenv("MLFLOW_WORKSPACE", "team-b")
        carrier._beat()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

    assert heard == [("run in team-a", "team-a"), ("run in ", "")]
