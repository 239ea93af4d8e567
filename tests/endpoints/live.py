"""Releases without a model library, a gateway on a real socket around them, and a caller of it."""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import polars as pl

from ropewalk import leases
from ropewalk.data.contract import Column, Contract, to_json
from ropewalk.endpoints.gateway import Gateway
from ropewalk.endpoints.served import Served
from ropewalk.endpoints.server import address_of, listen, make
from ropewalk.models import manifest as manifests
from ropewalk.releases import release as releases
from ropewalk.releases import traffic
from ropewalk.releases.bundle import Bundle, write_bundle
from ropewalk.settings import Serve, Settings
from ropewalk.site import Site
from ropewalk.source.snapshot import snapshot_code

STAND_IN = (sys.executable, str(Path(__file__).with_name("stand_in_worker.py")))
CONTRACT = Contract(
    columns=(
        Column(name="x", type="float", min=-10.0, max=10.0),
        Column(name="city", type="string", nullable=True, categories=("EWR", "JFK")),
        Column(name="late", type="int"),
    ),
    target="late",
)
ROW = {"x": 0.5, "city": "EWR"}
# A release with a column of each type, each called like its type, for decoders that are tried without a gateway.
EVERY_TYPE = Served(
    release="m/1", bundle="", manifest="", model="m", version=1,
    inputs=tuple(manifests.Field(name=kind, type=kind) for kind in ("int", "float", "bool", "string", "datetime")),
    outputs=(), contract=Contract(columns=()), check=lambda _: (), example={}, allow_pickle=False, code="",
)  # fmt: skip


def bundle_of(site: Site, version: int, wanted: Contract = CONTRACT) -> str:
    """Write a bundle whose model only the stand-in worker can answer for."""
    golden = pl.DataFrame({"x": [0.5, 1.5], "city": ["EWR", None], "probability": [0.6, 0.8], "label": [1, 1]})
    golden_path = site.root / "golden.parquet"
    golden.write_parquet(golden_path)
    contract = site.blobs.put(to_json(wanted))
    manifest = manifests.Manifest(
        name="flights",
        flavor="sklearn",
        task="binary",
        frame="polars",
        target="late",
        classes=(0, 1),
        parts={"golden.parquet": site.blobs.put_file(golden_path), "contract.json": contract},
        parity=manifests.Parity(passed=False),
        signature=manifests.Signature(
            inputs=(
                manifests.Field(name="x", type="float"),
                manifests.Field(name="city", type="string", nullable=True),
            ),
            outputs=(
                manifests.Output(name="probability", type="float"),
                manifests.Output(name="label", type="int"),
            ),
        ),
        libraries={"version": str(version)},
    )
    return bundle_with(site, manifests.write_manifest(site.blobs, manifest), contract, version)


def bundle_with(site: Site, manifest: str, contract: str, version: int) -> str:
    """Write a bundle around a model's manifest; the parts that no gateway reads are empty."""
    nothing = site.blobs.put(b"{}")
    return write_bundle(
        site.blobs,
        Bundle(
            project="flights",
            model="flights",
            version=version,
            manifest=manifest,
            flavor="sklearn",
            task="binary",
            code=snapshot_code(site).digest,
            commit="",
            wheel="flights.whl",
            wheel_digest=nothing,
            lock=nothing,
            contract=contract,
            sbom=nothing,
            provenance=nothing,
            created_us=0,
        ),
    )


def add_release(site: Site, version: int, bundle: str = "") -> str:
    """Write a release `flights/VERSION` with its bundle; return its id."""
    bundle = bundle or bundle_of(site, version)

    def work(tx: Any) -> str:
        lease = leases.take(site.clock.now_us(), 1)
        one = releases.begin(
            tx,
            site,
            name="flights",
            environment="production",
            version=version,
            manifest=bundle,
            intent=str(version),
            lease=lease,
        )
        tx.run("releases.set_bundle", id=one.id, bundle=bundle, fence=1)
        return one.id

    return site.db.write(work)


def split(site: Site, champion: str, **more: Any) -> int:
    """Change who answers at `flights`; return the generation."""

    def work(tx: Any) -> int:
        now = traffic.current(tx, "flights")
        seen = now.generation if now else 0
        return traffic.change(tx, site, "flights", seen=seen, champion=champion, **more).generation

    return site.db.write(work)


@dataclass
class Caller:
    """Speaks HTTP to a gateway, one connection per thread."""

    url: str
    gateway: Any = None
    opened: list[http.client.HTTPConnection] = field(default_factory=list)
    local: threading.local = field(default_factory=threading.local)

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = getattr(self.local, "connection", None)
        if connection is None:
            parts = urlsplit(self.url)
            connection = self.local.connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
            self.opened.append(connection)
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if data is not None:
            given = {"Content-Type": "application/json", **given}
        try:
            connection.request(method, path, data, given)
            response = connection.getresponse()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            self.local.connection = None
            raise
        finally:
            if connection.sock is None:
                self.local.connection = None

    def close(self) -> None:
        for connection in self.opened:
            connection.close()

    def predict(self, *rows: dict[str, Any], **more: Any) -> tuple[int, dict[str, Any]]:
        headers = more.pop("headers", {})
        status, _, body = self.ask("POST", "/endpoints/flights/predict", {"records": rows or [ROW], **more}, **headers)
        return status, json.loads(body)

    def until(self, met: Callable[[], bool], seconds: float = 10.0) -> None:
        """Ask again and again until it is so."""
        end = time.monotonic() + seconds
        while not met():
            assert time.monotonic() < end, "it did not become so"
            threading.Event().wait(0.02)

    def follows(self, generation: int) -> None:
        """Wait until the gateway follows a generation."""
        self.until(lambda: self.gateway.board.routes["flights"].traffic.generation == generation)


@contextmanager
def serving(site: Site, command: tuple[str, ...] = STAND_IN, **serve: Any) -> Iterator[Caller]:
    """Run a gateway in a thread of this process."""
    settings = Settings(name="flights", serve=Serve(**serve))
    started = threading.Event()
    gateway = Gateway(site, settings, command=command, on_ready=started.set)
    with listen("127.0.0.1", 0) as listener:
        server = make(gateway, drain_seconds_max=20)
        server.install_signal_handlers = lambda: None
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            assert started.wait(60)
            caller = Caller(url=address_of(listener), gateway=gateway)
            yield caller
            caller.close()
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive()
