"""Batches over HTTP: asked for, looked at, ended, fetched; and the loop that goes on with what a server left."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from batches.scored import begun
from batches.test_batches_work import rows, written
from ropewalk.batches import batch as batches
from ropewalk.batches.folder import folder_of
from ropewalk.demo.server import Server
from ropewalk.errors import Conflict, Refused
from ropewalk.evidence.replay import replay
from ropewalk.evidence.trace import trace
from ropewalk.house import open_house, score
from ropewalk.loops import batches as loop
from ropewalk.loops.batches import STALE_SECONDS, Batches
from ropewalk.releases import release
from ropewalk.site import Site

WAIT_SECONDS = 90.0


def ended(http: httpx.Client, name: str) -> dict[str, Any]:
    """Return a batch once it is over."""
    until = time.monotonic() + WAIT_SECONDS
    while True:
        found = http.get(f"/api/v1/batches/{name}").json()
        if found["state"] not in ("waiting", "running") or time.monotonic() > until:
            return found


def assert_traced(project: Path, name: str, output: bytes, digest: str) -> None:
    """Trace an answered row, one that was set aside, and one whose file is no longer what came out."""
    answered = pl.read_parquet(output)["prediction_id"][41]
    with open_house(project) as house:
        line = trace(house.site, answered).links
        aside = trace(house.site, batches.prediction_id(name, 500)).links[0]
        with pytest.raises(Refused, match="A batch made this prediction"):
            replay(house.site, answered, score(house))
        folder_of(house.site, name).joinpath("output.parquet").write_bytes(output + b"x")
        forged = trace(house.site, answered).links[0]

    data = ["data"] * (len(line) - 6)
    assert [link.kind for link in line] == ["observation", "release", "bundle", "model", "run", *data, "commit"]
    assert "row 42 of artifact in/rows.ndjson" in line[0].told
    assert line[0].facts["cells"]["customer"] == 41
    assert line[0].digest == digest
    assert line[0].entry
    assert aside.told.endswith("the row has no answer: it was set aside")
    assert forged.told.endswith("the file that came out has been changed")
    assert forged.facts["cells"] == {}


def test_a_batch_is_asked_for_scored_after_a_restart_and_fetched(project: Path):
    pytest.importorskip("sklearn")
    with open_house(project) as house:
        from ropewalk.endpoints.served import read_served

        with house.site.db.read() as reader:
            found = release.get(reader, "churn/1")
        example = read_served(house.site.blobs, found.id, found.bundle, "production").example
    lines = "".join(json.dumps({"customer": at, **example}) + "\n" for at in range(500)) + "no JSON\n"
    body = {"source": {"artifact": "in/rows.ndjson"}, "errors": "aside"}

    with Server(project, 0) as server, httpx.Client(base_url=server.url, timeout=30) as http:
        http.put("/api/2.0/mlflow-artifacts/artifacts/in/rows.ndjson", content=lines.encode()).raise_for_status()
        asked = http.post("/api/v1/batches", json=body, headers={"Idempotency-Key": "k"})
        again = http.post("/api/v1/batches", json=body, headers={"Idempotency-Key": "k"})
        bad = http.post("/api/v1/batches", json={"source": {}})
        gone = http.get("/api/v1/batches/no-such")
    name = asked.json()["id"]
    with Server(project, 0) as server, httpx.Client(base_url=server.url, timeout=30) as http:
        done = ended(http, name)
        listed = http.get("/api/v1/batches").json()
        output = http.get(f"/api/v1/batches/{name}/output")
        aside = http.get(f"/api/v1/batches/{name}/aside").text
        over = http.post(f"/api/v1/batches/{name}/cancel")

    assert again.json()["id"] == name
    assert (bad.status_code, bad.json()["code"]) == (400, "batch-source-missing")
    assert (gone.status_code, gone.json()["code"]) == (404, "batch-not-found")
    assert (done["state"], done["rows"], done["scored"], done["aside"]) == ("done", 501, 501, 1), done
    assert [one["id"] for one in listed] == [name]
    assert pl.read_parquet(output.content)["customer"].to_list() == list(range(500))
    assert (json.loads(aside)["row"], json.loads(aside)["code"]) == (501, "row-unread")
    assert (over.status_code, over.json()["code"]) == (409, "batch-over")
    assert_traced(project, name, output.content, done["output"])


def test_the_loop_starts_what_waits_or_was_left_and_nothing_of_the_command_line(
    here: Site, monkeypatch: pytest.MonkeyPatch
):
    typed = begun(here, written(here, rows(3)))
    asked = begun(here, {"artifact": "in/a.csv"}, "")
    started = list[str]()

    def start(_site: Site, found: batches.Batch, _hidden: tuple[str, ...]) -> subprocess.Popen[bytes]:
        started.append(found.id)
        child = subprocess.Popen(["true"])
        child.wait()
        return child

    monkeypatch.setattr(loop, "spawn", start)
    works = Batches(here)
    for _ in range(loop.TRIES_MAX + 1):
        works.turn()

    assert started == [asked.id] * loop.TRIES_MAX  # then it is given up
    with here.db.read() as reader:
        assert batches.get(reader, asked.id).state == "cancelled"
        assert batches.get(reader, typed.id).state == "waiting"


def test_what_has_failed_goes_away_after_a_week_and_not_before(here: Site, monkeypatch: pytest.MonkeyPatch):
    found = begun(here, written(here, rows(3)))
    mine = here.db.write(lambda tx: batches.take(tx, here, found, policy="stop"))
    here.db.write(lambda tx: batches.settle(tx, here, mine, batches.FAILED, note="x"))
    (folder_of(here, found.id) / "part-00000000.parquet").write_bytes(b"a part")

    Batches(here).turn()
    assert folder_of(here, found.id).exists()
    with here.db.read() as reader:
        assert batches.get(reader, found.id).state == "failed"
    monkeypatch.setattr(loop, "STALE_SECONDS", -1)
    Batches(here).turn()

    with here.db.read() as reader:
        assert batches.get(reader, found.id).state == "cancelled"
    assert not (here.hidden / "batches" / found.id).exists()
    assert STALE_SECONDS == 7 * 86_400
    with pytest.raises(Conflict):
        here.db.write(lambda tx: batches.take(tx, here, found, policy="stop"))
