"""A gateway with real models behind data planes, and callers that speak HTTP byte by byte."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import polars as pl

from endpoints.live import Caller, add_release, bundle_with, serving, split
from ropewalk.endpoints.runtime import COMMAND
from ropewalk.models.log import log_model
from ropewalk.models.manifest import read_manifest
from ropewalk.runs.log import Collector, collecting
from ropewalk.site import Site

ROW = {"x": 3.5, "wind": 0.5}


def add_models(site: Site, *versions: int) -> list[str]:
    """Write releases of a model that converts to ONNX."""
    from sklearn.linear_model import LogisticRegression

    table = pl.DataFrame(
        {
            "x": [float(at % 17) for at in range(200)],
            "wind": [at / 100 for at in range(200)],
            "late": [int(at % 17 > 8) for at in range(200)],
        }
    )
    model = LogisticRegression().fit(table.drop("late").to_numpy(), table["late"].to_numpy())
    with collecting(Collector(site.blobs, site.clock)):
        manifest = log_model(model, "flights", train=table, target="late")
    contract = read_manifest(site.blobs, manifest).parts["contract.json"]
    return [add_release(site, one, bundle_with(site, manifest, contract, one)) for one in versions]


def http(path: str, body: object, *more: str, method: str = "POST", kind: str = "application/json") -> bytes:
    """Return a request's bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: HOST", f"Content-Type: {kind}", f"Content-Length: {len(data)}", *more]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


GOOD = http("/endpoints/flights/predict", {"records": [ROW]})


class Wire:
    """One connection, in bytes."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host = parts.netloc
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=20)
        self._came = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data.replace(b"Host: HOST", f"Host: {self.host}".encode()))

    def answer(self) -> bytes:
        """Return the next whole answer, or what came before the end."""
        while True:
            head, found, rest = self._came.partition(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            size = int(length[1]) if length and not head.startswith(b"HTTP/1.1 100") else 0
            if found and len(rest) >= size:
                self._came = rest[size:]
                return head + found + rest[:size]
            try:
                piece = self.socket.recv(1 << 16)
            except ConnectionResetError:
                piece = b""
            if not piece:
                came, self._came = self._came, b""
                return came
            self._came += piece

    def ask(self, data: bytes = GOOD) -> tuple[int, bytes]:
        self.send(data)
        came = self.answer()
        return int(came[9:12] or 0), came.partition(b"\r\n\r\n")[2]

    def close(self) -> None:
        self.socket.close()


@contextmanager
def plane_stand(site: Site, **serve: object) -> Iterator[Caller]:
    """Serve `flights`, whose traffic is there already, with connections given away after their first answer."""
    with serving(site, command=COMMAND, plane=True, **serve) as caller:
        yield caller


def has_plane(caller: Caller) -> bool:
    link = caller.gateway.planes.links.get("flights")
    return link is not None and link.live


def given_away(caller: Caller) -> Wire:
    """Return a connection that a data plane has."""
    wire = Wire(caller.url)

    def is_there() -> bool:
        before = given(caller)
        assert wire.ask()[0] == 200
        return given(caller) > before

    caller.until(is_there, 60)
    return wire


def given(caller: Caller) -> int:
    link = caller.gateway.planes.links.get("flights")
    return 0 if link is None else link.given


def lines(caller: Caller) -> int:
    link = caller.gateway.planes.links.get("flights")
    return 0 if link is None else link.connections


def first(site: Site, *versions: int, **more: object) -> list[str]:
    """Write releases and give the first of them all traffic."""
    made = add_models(site, *versions)
    split(site, made[0], **more)
    return made
