"""A tiny project with a model of two numbers, and doors that serve it: real bytes, no machine learning library."""

from __future__ import annotations

import json
import math
import pickle
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import polars as pl

from ropewalk import leases
from ropewalk.data import contract, frames, infer
from ropewalk.models import versions
from ropewalk.models.manifest import Field, Manifest, Output, Parity, Signature, read_manifest, write_manifest
from ropewalk.models.versions import ModelVersion
from ropewalk.refs import canonical
from ropewalk.releases.bundle import read_bundle
from ropewalk.releases.walk import Doors, Progress
from ropewalk.runs import run as runs
from ropewalk.settings import Settings
from ropewalk.site import Site
from ropewalk.source.snapshot import snapshot_code

TARGET = "late"
PIPELINE = "def train(depth: int = 3) -> int:\n    return depth\n"
PASSING = "from pipeline import train\n\n\ndef test_train_gives_its_depth():\n    assert train(2) == 2\n"
PACKAGES = (("numpy", "2.1.0"), ("requests", "2.31.0"))


def make_project(root: Path, files: dict[str, str] | None = None, *, tests: bool = False) -> None:
    """Write the project's files."""
    wanted = {"pipeline.py": PIPELINE, **({"tests/test_pipeline.py": PASSING} if tests else {}), **(files or {})}
    for path, text in wanted.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def rows(count: int, *, seed: int = 1) -> pl.DataFrame:
    """Return rows whose target follows `x` with noise that is the same each time."""
    number, found = seed, []
    for _ in range(count):
        number = (number * 1103515245 + 12345) % (1 << 31)
        x = number / (1 << 31) * 6 - 3
        number = (number * 1103515245 + 12345) % (1 << 31)
        found.append(
            {"x": x, "carrier": "AA" if number >> 16 & 1 else "UA", TARGET: int(x + (number / (1 << 31) - 0.5) > 0)}
        )
    return pl.DataFrame(found)


def answer(model: dict[str, float], inputs: pl.DataFrame) -> pl.DataFrame:
    """Score a frame with a model of slope and offset."""
    chances = [1 / (1 + math.exp(-(model["slope"] * x + model["offset"]))) for x in inputs["x"].to_list()]
    return pl.DataFrame(
        {"probability": chances, "label": [int(one >= 0.5) for one in chances]},
        schema={"probability": pl.Float64, "label": pl.Int64},
    )


def make_version(
    site: Site, *, slope: float = 2.0, offset: float = 0.0, name: str = "flights", native: bytes | None = None
) -> ModelVersion:
    """Make a model, and a run of the project as it is now that made it."""
    model = {"slope": slope, "offset": offset}
    golden = rows(40, seed=3).drop(TARGET)
    said = answer(model, golden)
    train = rows(400)
    blobs = site.blobs
    manifest = Manifest(
        name=name,
        flavor="sklearn",
        task="binary",
        frame="polars",
        target=TARGET,
        classes=(0, 1),
        parts={
            "model.pkl": blobs.put(native if native is not None else pickle.dumps(model)),
            "golden.parquet": frames.write(blobs, golden.with_columns(said.rename(lambda name: f"out.{name}"))).digest,
            "train.parquet": frames.write(blobs, train).digest,
            "holdout.parquet": frames.write(blobs, rows(300, seed=2)).digest,
            "contract.json": blobs.put(contract.to_json(infer.infer(train, target=TARGET))),
        },
        parity=Parity(passed=False, reason="no converter"),
        signature=Signature(
            inputs=(Field(name="x", type="float"), Field(name="carrier", type="string")),
            outputs=(Output(name="probability", type="float"), Output(name="label", type="int")),
        ),
    )
    return registered(site, name, write_manifest(blobs, manifest))


def registered(site: Site, name: str, digest: str) -> ModelVersion:
    """Record a finished run of the project as it is now, and register what it made."""
    blobs = site.blobs
    code = snapshot_code(site)
    environment = blobs.put(canonical({"packages": [list(one) for one in PACKAGES], "python": "3.11.7", "schema": 1}))

    def write(tx: Any) -> ModelVersion:
        lease = leases.take(site.clock.now_us(), 1)
        begun = runs.start(
            tx,
            site,
            kind="pipeline",
            pipeline="pipeline.py:train",
            args={"depth": 3},
            code=code.digest,
            commit=code.commit,
            environment=environment,
            lease=lease,
        )
        runs.move(tx, site, begun.id, runs.FINISHED, fence=1)
        return versions.register(tx, site, name=name, manifest=digest, run_id=begun.id)

    return site.db.write(write)


def model_of(site: Site, bundle: str) -> dict[str, float]:
    """Return the model's two numbers."""
    manifest = read_manifest(site.blobs, read_bundle(site.blobs, bundle).manifest)
    return pickle.loads(site.blobs.get(manifest.parts["model.pkl"]))


@dataclass(slots=True, kw_only=True)
class Small:
    """Doors over a site, with faults to turn on.

    Attributes:
        site: the project.
        slow_seconds: the endpoint waits so long before each answer.
        meet: requests are answered when so many of them are there.
        wrong_by: the endpoint (not the worker) answers with another offset.
        takes_anything: the endpoint does not look at its input.
        recorded: what was captured.
        served: how often an endpoint was started.
    """

    site: Site
    slow_seconds: float = 0.0
    meet: threading.Barrier | None = None
    wrong_by: float = 0.0
    takes_anything: bool = False
    recorded: pl.DataFrame | None = None
    served: int = 0

    def doors(self) -> Doors:
        """Return the doors."""
        empty = pl.DataFrame()
        return Doors(
            serve=self.serve,
            predict=lambda bundle, inputs: answer(model_of(self.site, bundle), inputs),
            recorded=lambda endpoint, count: empty if self.recorded is None else self.recorded.tail(count),
        )

    def hold(self) -> None:
        """Wait before an answer as long as it is said."""
        if self.slow_seconds:
            threading.Event().wait(self.slow_seconds)
        if self.meet is not None:
            self.meet.wait(60)

    @contextmanager
    def serve(self, bundle: str, environment: str) -> Iterator[str]:
        """Serve a bundle on a free port of loopback."""
        model = model_of(self.site, bundle)
        model["offset"] += self.wrong_by
        self.served += 1
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(self, model))
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def problems_of(record: Any) -> list[dict[str, str]]:
    """Return what is wrong with one record."""
    if not isinstance(record, dict):
        return [{"field": "", "rule": "type"}]
    found = [{"field": name, "rule": "unknown"} for name in record if name not in ("x", "carrier")]
    if not isinstance(record.get("x"), float | int):
        found.append({"field": "x", "rule": "type" if "x" in record else "missing"})
    if not isinstance(record.get("carrier"), str):
        found.append({"field": "carrier", "rule": "type" if "carrier" in record else "missing"})
    return found


def handler_of(small: Small, model: dict[str, float]) -> type[BaseHTTPRequestHandler]:
    """Return a handler that serves a model as our endpoints do."""
    example = {"records": [{"x": 0.5, "carrier": "AA"}]}
    document = {
        "openapi": "3.1.0",
        "paths": {
            "/v2/health/ready": {"get": {"responses": {"200": {}}}},
            "/endpoints/flights/predict": {
                "post": {
                    "requestBody": {"content": {"application/json": {"example": example}}},
                    "responses": {"200": {}, "422": {}},
                }
            },
        },
    }

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self.reply(200, document if self.path == "/openapi.json" else {})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            small.hold()
            try:
                asked = json.loads(body)["records"]
            except (ValueError, KeyError, TypeError, RecursionError):
                self.reply(400, {"code": "json-malformed"})
                return
            wrong = [] if small.takes_anything else [one for record in asked for one in problems_of(record)]
            if wrong or not asked:
                self.reply(422, {"code": "contract", "problems": wrong})
                return
            said = answer(model, pl.DataFrame({"x": [float(record["x"]) for record in asked]}))
            found = [{"id": f"{id(self)}-{n}", **one} for n, one in enumerate(said.iter_rows(named=True))]
            self.reply(200, {"release": "flights/0", "predictions": found})

        def reply(self, status: int, value: object) -> None:
            data = json.dumps(value).encode()
            head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
            self.wfile.write(head.encode() + data)

        def log_message(self, *words: object) -> None:
            """Print nothing."""

    return Handler


def settings_of(**parts: Any) -> Settings:
    """Return settings with a load that is over at once."""
    import msgspec

    said = {
        "name": "flights",
        "qa": {"load_seconds": 0.05, "load_connections": 2, "p50_ms": 200, "p99_ms": 2000},
        **parts,
    }
    return msgspec.convert(said, Settings)


def told() -> tuple[list[Progress], Callable[[Progress], None]]:
    """Return a list and what fills it with progress."""
    found: list[Progress] = []
    return found, found.append
