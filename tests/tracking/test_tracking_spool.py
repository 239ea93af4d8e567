"""A training whose tracking server dies, or never lived, goes on; afterwards the server has everything once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from acceptance import stock
from ropewalk.cli import main
from ropewalk.clock import SystemClock
from ropewalk.demo.server import Server, free_port
from ropewalk.tracking import refused, wire
from ropewalk.tracking.journal import PROGRESS, Body, Journal, journals

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("spool"),
    pytest.mark.skipif(not stock.python("mlflow").exists(), reason="make stock makes .venv-mlflow"),
]
TRAINING = Path(__file__).parent / "training.py"
WAIT_SECONDS_MAX = 60.0


class Training:
    """The script, run with its tracking calls kept safe, in a folder of its own."""

    def __init__(self, folder: Path, url: str) -> None:
        folder.mkdir()
        self.folder = folder
        self._log = (folder / "training.log").open("wb")
        words = [str(stock.python("mlflow")), "-m", "ropewalk.tracking.spool", str(TRAINING), str(folder)]
        self.process = subprocess.Popen(
            words, cwd=folder, env=stock.surroundings(url), stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log
        )

    def go(self, *names: str) -> None:
        for name in names:
            (self.folder / f"{name}.go").touch()

    def reached(self, name: str) -> None:
        clock, pause = SystemClock(), threading.Event()
        end = clock.monotonic() + WAIT_SECONDS_MAX
        while not (self.folder / f"{name}.reached").exists():
            assert self.process.poll() is None, self.said()
            assert clock.monotonic() < end, self.said()
            pause.wait(0.02)

    def ended(self) -> int:
        return self.process.wait(WAIT_SECONDS_MAX)

    def said(self) -> str:
        return (self.folder / "training.log").read_text(errors="replace")[-3000:]

    @property
    def spool(self) -> Path:
        return self.folder / ".ropewalk" / "spool"

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._log.close()


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    root = tmp_path / "lab"
    root.mkdir()
    (root / "ropewalk.toml").write_text('name = "lab"\n')
    return root


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def training(tmp_path: Path, port: int) -> Iterator[Training]:
    made = Training(tmp_path / "job", f"http://127.0.0.1:{port}")
    yield made
    made.close()


def kill(server: Server) -> None:
    assert server._process is not None
    server._process.send_signal(signal.SIGKILL)
    server._process.wait()


def ask(server: Server, target: str, body: dict | None = None) -> dict:
    said = wire.send(
        server.url,
        "GET" if body is None else "POST",
        f"/api/2.0/mlflow/{target}",
        headers={"Content-Type": "application/json"},
        body=b"" if body is None else json.dumps(body).encode(),
    )
    assert said.fine, said.body
    return said.read()


def logged(server: Server) -> dict[str, dict]:
    """What the server has of the training: its runs by name, histories and files included."""
    (experiment,) = (
        one
        for one in ask(server, "experiments/search", {"max_results": 100})["experiments"]
        if one["name"] == "spooled"
    )
    runs = ask(server, "runs/search", {"experiment_ids": [experiment["experiment_id"]], "max_results": 100})["runs"]
    models = ask(server, "logged-models/search", {"experiment_ids": [experiment["experiment_id"]]})["models"]
    told: dict[str, dict] = {}
    for run in runs:
        number = run["info"]["run_id"]
        assert run["info"]["run_name"] not in told, "a run is there twice"
        told[run["info"]["run_name"]] = {
            "id": number,
            "status": run["info"]["status"],
            "params": {one["key"]: one["value"] for one in run["data"].get("params", [])},
            "tags": {one["key"]: one["value"] for one in run["data"].get("tags", [])},
            "loss": [
                (one["step"], one["value"])
                for one in ask(server, f"metrics/get-history?run_id={number}&metric_key=loss").get("metrics", [])
            ],
            "files": sorted(one["path"] for one in ask(server, f"artifacts/list?run_id={number}").get("files", [])),
            "models": [one["info"]["model_id"] for one in models if one["info"]["source_run_id"] == number],
        }
    return told


def assert_whole(told: dict[str, dict]) -> None:
    assert set(told) == {"long training", "child"}
    whole = told["long training"]
    assert whole["status"] == "FINISHED"
    assert whole["params"] == {"depth": "3", "rate": "0.1", "late": "yes"}
    assert whole["tags"]["colour"] == "red"
    assert "gone" not in whole["tags"]
    assert whole["loss"] == [(step, 1 / (step + 1)) for step in range(40)] + [(40, 0.0)]
    assert whole["files"] == ["deep", "first.txt", "third.json"]
    assert len(whole["models"]) == 1
    assert told["child"]["tags"]["mlflow.parentRunId"] == whole["id"]
    assert told["child"]["status"] == "FINISHED"


def test_a_training_outlives_the_server_s_death_and_nothing_is_lost_or_twice(lab, port, training):
    with Server(lab, port) as server:
        training.go("begin")
        training.reached("middle")
        kill(server)
    training.go("middle")
    training.reached("end")
    assert len(journals(training.spool)) == 1

    with Server(lab, port) as server:
        training.go("end", "done")
        assert training.ended() == 0, training.said()
        told = logged(server)
        assert_whole(told)
        assert told["long training"]["tags"]["ropewalk.heartbeat_seconds"] == "15"
        version = ask(server, f"artifacts/list?run_id={told['long training']['id']}&path=deep")["files"]
        assert [one["path"] for one in version] == ["deep/second.txt"]
    assert journals(training.spool) == []
    assert "is back" in training.said()


def test_a_training_without_a_server_ends_well_and_is_the_same_run_after_a_sync(lab, port, training, capsys):
    training.go("begin", "middle", "end", "done")
    assert training.ended() == 0, training.said()
    assert "ropewalk spool sync" in training.said()
    project = ["--project", str(training.folder)]
    assert main([*project, "spool", "status", "--json"]) == 0
    waiting = json.loads(capsys.readouterr().out)["result"]["waiting"]
    assert waiting > 40
    # Still nobody there: nothing is lost by trying.
    assert main([*project, "spool", "sync"]) == 1
    assert len(journals(training.spool)) == 1

    with Server(lab, port) as server:
        kept = journals(training.spool)[0]
        copy = (kept.folder / "calls.jsonl").read_bytes()
        bodies = {one.name: one.read_bytes() for one in (kept.folder / "bodies").iterdir()}
        capsys.readouterr()
        assert main([*project, "spool", "sync", "--json"]) == 0
        result = json.loads(capsys.readouterr().out)["result"]
        assert (result["sent"], result["refused"], result["waiting"], result["away"]) == (waiting, 0, 0, "")
        first = logged(server)
        told = (training.folder / "run_id").read_text()
        assert result["ids"].get(told, told) == first["long training"]["id"]
        assert_whole(first)
        assert (training.folder / "run_id").read_text() in (
            first["long training"]["id"],
            first["long training"]["tags"]["ropewalk.spool_id"],
        )

        # The power went after the server had taken everything and before that was written down: all is sent again.
        kept.create(kept.folder, server.url, 0)
        (kept.folder / "calls.jsonl").write_bytes(copy)
        for name, data in bodies.items():
            (kept.folder / "bodies" / name).write_bytes(data)
        assert not (kept.folder / PROGRESS).exists()
        assert main([*project, "spool", "sync"]) == 0
        assert logged(server) == first


def test_a_killed_training_leaves_what_it_logged_for_a_later_sync(lab, port, training, capsys):
    training.go("begin", "middle")
    training.reached("end")
    training.process.kill()
    training.process.wait()

    with Server(lab, port) as server:
        assert main(["--project", str(training.folder), "spool", "sync"]) == 0
        told = logged(server)
    assert told["long training"]["status"] == "RUNNING"
    assert len(told["long training"]["loss"]) == 40
    assert told["child"]["status"] == "FINISHED"


def test_what_the_server_refuses_is_named_and_the_rest_is_sent(lab, port, tmp_path, capsys):
    from ropewalk.tracking.carrier import Carrier, Request

    # This process's own number makes it a living owner, so that the journal stays for who reads it.
    carrier = Carrier(f"http://127.0.0.1:{port}", tmp_path / ".ropewalk" / "spool", heartbeat_seconds=0, tell=print)
    carrier._halt = True

    def say(kind: str, body: dict) -> dict:
        asked = Request(
            method="POST",
            target=f"/api/2.0/mlflow/{kind}",
            headers={"Content-Type": "application/json"},
            body=json.dumps(body).encode(),
        )
        found = carrier.carry(asked, lambda _: None)
        assert found is not None
        return json.loads(found.body)

    run = say("runs/create", {"experiment_id": "0", "run_name": "odd"})["run"]["info"]["run_id"]
    say("runs/log-parameter", {"run_id": run, "key": "a", "value": "1"})
    say("runs/log-parameter", {"run_id": run, "key": "a", "value": "2"})
    say("runs/log-parameter", {"run_id": run, "key": "b", "value": "3"})
    with Server(lab, port) as server:
        assert main(["--project", str(tmp_path), "spool", "sync"]) == 1
        found = ask(server, "runs/search", {"experiment_ids": ["0"]})["runs"]
    assert [(one["key"], one["value"]) for one in found[0]["data"]["params"]] == [("a", "1"), ("b", "3")]
    said = capsys.readouterr().out
    (lying,) = refused.listed(tmp_path / ".ropewalk" / "spool")
    assert f"refused  {lying.folder.name}: POST /api/2.0/mlflow/runs/log-parameter" in said
    assert "3 calls sent, 1 refused" in said
    kept = journals(tmp_path / ".ropewalk" / "spool")[0]
    assert (kept.waiting, dict(kept.standing().refused), kept.pid) == (0, {}, os.getpid())

    # The value is another's now, until somebody gives up: tried again it is refused again, and named once.
    project = ["--project", str(tmp_path), "spool"]
    with Server(lab, port):
        assert main([*project, "retry", "--json"]) == 1
        retried = json.loads(capsys.readouterr().out)["result"]
    assert (retried["sent"], retried["refused"]) == (0, [f"{lying.folder.name}.2"])
    assert main([*project, "status", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)["result"]["refused"]
    assert [(one["name"], one["calls"]) for one in shown] == [(f"{lying.folder.name}.2", 1)]
    assert "HTTP 400" in shown[0]["words"][0]
    assert main([*project, "drop", shown[0]["name"]]) == 0
    assert refused.listed(tmp_path / ".ropewalk" / "spool") == []


def test_what_was_refused_is_taken_once_it_can_be(lab, port, tmp_path, capsys):
    journal = Journal.create(tmp_path / ".ropewalk" / "spool" / "one", f"http://127.0.0.1:{port}", 0, pid=0)
    tag = {"name": "model", "key": "a", "value": "b"}
    for kind, body in (("set-tag", tag), ("create", {"name": "model"})):
        journal.append(
            at_us=1,
            method="POST",
            target=f"/api/2.0/mlflow/registered-models/{kind}",
            headers={"Content-Type": "application/json"},
            body=Body(text=json.dumps(body)),
        )
    project = ["--project", str(tmp_path), "spool"]

    with Server(lab, port) as server:
        assert main([*project, "sync"]) == 1
        assert journals(tmp_path / ".ropewalk" / "spool") == []
        capsys.readouterr()
        assert main([*project, "retry", "--json"]) == 0
        tags = ask(server, "registered-models/get?name=model")["registered_model"]["tags"]

    assert json.loads(capsys.readouterr().out)["result"] == {"sent": 1, "refused": [], "away": ""}
    assert tags == [{"key": "a", "value": "b"}]
    assert refused.listed(tmp_path / ".ropewalk" / "spool") == []


@pytest.mark.parametrize("words", [["drop"], ["status", "x"], ["drop", "nobody"], ["retry", "nobody"]])
def test_what_is_not_there_is_neither_dropped_nor_tried(tmp_path, words, capsys):
    assert main(["--project", str(tmp_path), "spool", *words, "--json"]) != 0
    assert json.loads(capsys.readouterr().out)["error"]["code"] in ("usage", "spool-nothing-refused")
