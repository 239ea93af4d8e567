"""A project with code, environment, data, a model and logs, run as often as a test wants."""

import json

import polars as pl
import pytest

from ropewalk.data import frames, snapshot
from ropewalk.leases import take
from ropewalk.refs import canonical
from ropewalk.runs import keep
from ropewalk.runs import run as runs
from ropewalk.runs.log import LogEntry
from ropewalk.source.snapshot import snapshot_code


@pytest.fixture
def begin(site):
    """Start a run of the project's code as it lies there now; the clock moves on a second for each."""

    def start(**more):
        site.clock.advance(1)
        code = snapshot_code(site)
        environment = site.blobs.put(
            canonical(more.pop("environment", {"python": "3.11.7", "packages": [["polars", "1.31.0"]]}))
        )
        values = {"kind": "pipeline", "pipeline": "pipeline.py:train", "args": {}} | more
        return site.db.write(
            lambda tx: runs.start(
                tx,
                site,
                code=code.digest,
                commit=code.commit,
                environment=environment,
                lease=take(site.clock.now_us(), 1),
                **values,
            )
        )

    return start


@pytest.fixture
def log(site):
    """Write entries to a run, in a part of their own."""
    parts = iter(range(1000))

    def write(run, *entries, node=""):
        part = next(parts)
        made = [LogEntry(**({"at_us": site.clock.now_us()} | entry)) for entry in entries]
        return site.db.write(lambda tx: keep.apply(tx, run.id, made, node=node, part=part))

    return write


@pytest.fixture
def with_everything(site, begin, log):
    """Give a run data, a model of two parts and an artifact; return it."""

    def give(rows=(1, 2, 3), model=b"weights", plot=b"<svg/>", **more):
        run = begin(**more)
        ref = frames.write(site.blobs, pl.DataFrame({"a": list(rows)}))
        site.db.write(lambda tx: snapshot.record(tx, site, ref, name="rows", run_id=run.id, node="load"))
        parts = {"model.skops": site.blobs.put(model), "contract.json": site.blobs.put(b"{}")}
        manifest = site.blobs.put(json.dumps({"name": "flights", "parts": parts}).encode())
        log(
            run,
            {"kind": "model", "key": "flights", "value": {"manifest": manifest}},
            {"kind": "artifact", "key": "plots/roc.svg", "value": {"digest": site.blobs.put(plot), "bytes": len(plot)}},
            node="fit",
        )
        return run

    return give
