from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest

from endpoints.live import ROW, STAND_IN, Caller, add_release, bundle_of, split
from endpoints.stand_in_worker import HANG, WAIT
from ropewalk.endpoints import batch, capture
from ropewalk.endpoints.segment import folder_of
from ropewalk.endpoints.served import code_folder
from ropewalk.endpoints.server import address_of, listen
from ropewalk.errors import Unavailable
from ropewalk.leases import process_start
from ropewalk.ledger.chain import entries
from ropewalk.site import Site
from ropewalk.source.snapshot import snapshot_code


@contextmanager
def gateway_process(site: Site) -> Iterator[tuple[subprocess.Popen[str], Caller]]:
    tests = Path(__file__).parent.parent
    with listen("127.0.0.1", 0) as listener:
        process = subprocess.Popen(
            [
                sys.executable,
                str(Path(__file__).with_name("gateway_process.py")),
                str(site.root),
                str(listener.fileno()),
            ],
            pass_fds=(listener.fileno(),),
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(tests)},
        )
        caller = Caller(url=address_of(listener))
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    try:
        yield process, caller
    finally:
        caller.close()
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.fault
def test_kill_9_loses_no_answered_prediction(real: Site) -> None:
    split(real, add_release(real, 1))
    answered: list[str] = []
    lock = threading.Lock()

    def hammer(caller: Caller, process: subprocess.Popen[str]) -> None:
        while True:
            try:
                _, answer = caller.predict()
            except (OSError, http.client.HTTPException):
                return
            with lock:
                answered.append(answer["predictions"][0]["id"])
                if len(answered) % 150 == 0:
                    process.kill()

    for _ in range(3):
        with gateway_process(real) as (process, caller):
            threads = [threading.Thread(target=hammer, args=(caller, process)) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)

    before = capture.read(real, "flights")
    sealed = capture.recover(real)
    after = capture.read(real, "flights")
    assert len(answered) >= 400
    assert set(answered) <= set(before["id"])
    assert before["id"].is_unique().all()
    assert after.equals(before)
    assert not list(folder_of(real, "flights").glob("*.journal"))
    assert sum(one.rows for one in sealed) <= after.height


@pytest.mark.fault
def test_the_worker_ends_with_its_gateway(real: Site) -> None:
    split(real, add_release(real, 1))
    with gateway_process(real) as (process, caller):
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.kill()
        process.wait()

        caller.until(lambda: all(process_start(int(child)) is None for child in children))

    assert children


@pytest.mark.fault
def test_sigterm_answers_what_is_under_way_and_seals_it(real: Site) -> None:
    split(real, add_release(real, 1))
    found: list[int] = []
    with gateway_process(real) as (process, caller):
        ask = threading.Thread(target=lambda: found.append(caller.predict({"x": WAIT, "city": None})[0]))
        ask.start()
        caller.until((real.hidden / "gate" / "waiting").exists)

        process.send_signal(signal.SIGTERM)
        (real.hidden / "gate" / "go").write_text("go")
        ask.join(10)
        status = process.wait(15)
        assert process.stdout is not None
        last = process.stdout.read()

    assert (found, status, last) == ([200], 0, "drained\n")
    assert not list(folder_of(real, "flights").glob("*.journal"))
    assert capture.read(real, "flights").height == 1
    with real.db.read() as reader:
        assert [entry.kind for entry in entries(reader)].count("segment.sealed") == 1


def test_a_batch_does_not_wait_for_a_hanging_model_for_ever(real: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "COMMAND", STAND_IN)
    monkeypatch.setattr(batch, "ANSWER_SECONDS_MAX", 2.0)
    bundle = bundle_of(real, 1)

    assert batch.score(real, bundle, pl.DataFrame([ROW]))["label"].to_list() == [1]
    with pytest.raises(Unavailable, match="did not answer in time"):
        batch.score(real, bundle, pl.DataFrame([{**ROW, "x": HANG}]))


def test_code_that_was_edited_where_it_lies_is_not_what_a_worker_gets(real: Site) -> None:
    (real.root / "pipeline.py").write_text("honest = 1\n")
    digest = snapshot_code(real).digest
    folder = code_folder(real.blobs, real.hidden, digest)
    (folder / "pipeline.py").chmod(0o600)
    (folder / "pipeline.py").write_text("honest = 0\n")
    (folder / "numpy.py").write_text("shadows = 1\n")

    again = code_folder(real.blobs, real.hidden, digest)

    assert {path.name: path.read_text() for path in again.iterdir()} == {"pipeline.py": "honest = 1\n"}
