"""Requests of MLflow's door that are asked in a process which is killed at one of their statements."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from api.asking import Client
from fault.store_victim import die_at, named
from ropewalk.api.mlflow.table import ROUTES
from ropewalk.blobs.folder import FolderBucket
from ropewalk.clock import SystemClock
from ropewalk.ledger.sign import Signer
from ropewalk.site import Site
from ropewalk.store.link import Store
from ropewalk.store.transfer import measure

FILES = "/api/2.0/mlflow-artifacts/mpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request, ready to be sent again and again."""

    method: str
    path: str
    body: dict[str, Any]
    key: str

    def of(self, client: Client) -> tuple[int, Any]:
        """Ask it; return status and JSON."""
        found = client.ask(self.method, self.path, json=self.body, headers={"Idempotency-Key": self.key})
        return found.status_code, found.json()


def site_at(where: str, folder: Path) -> Site:
    """Open a site whose rows are at a place and whose files are in a folder."""
    return Site(
        root=folder,
        db=named(where),
        blobs=FolderBucket(folder / "blobs"),
        clock=SystemClock(),
        signer=Signer.create(folder / "keys"),
        actor="ann@example.org",
    )


@contextmanager
def client_at(where: str, folder: Path) -> Iterator[tuple[Client, Store]]:
    """Give a client of every route, and the store behind it."""
    site = site_at(where, folder)
    try:
        yield Client(site, ROUTES), site.db  # type: ignore[misc]
    finally:
        site.db.close()


def ask(where: str, step: int, folder: str, asked: Asked, way) -> None:
    """Ask once and die at a statement of it: before it, or after it when below 0."""
    client = Client(site_at(where, Path(folder)), ROUTES)
    asked_steps = die_at(step)
    answer = asked.of(client)
    way.send((answer, asked_steps[0]))
    os._exit(0)


def holdings(store: Store) -> dict[str, tuple[int, str]]:
    """Return what each table holds."""
    link = store.link()
    try:
        link.look()
        return {one.table: (one.rows, one.digest) for one in measure(link)}
    finally:
        link.close()


def prepared(client: Client, kind: str, place: int) -> Asked:
    """Make what a request of a kind needs, afresh, and return the request."""
    key = f"{kind}-{place}"

    def run() -> str:
        made = client.send("POST", "runs/create", experiment_id="0", start_time=1)
        return str(made["run"]["info"]["run_id"])

    def version(name: str) -> dict[str, Any]:
        run_id = run()
        return {"name": name, "source": f"mlflow-artifacts:/0/{run_id}/artifacts/model", "run_id": run_id}

    match kind:
        case "create a run":
            body = {"experiment_id": "0", "start_time": place, "tags": [{"key": "a", "value": "b"}]}
            return Asked(method="POST", path="runs/create", body=body, key=key)
        case "log a batch":
            metrics = [{"key": f"m{one}", "value": place, "timestamp": 1, "step": place} for one in range(10)]
            body = {"run_id": run(), "metrics": metrics, "params": [{"key": "p", "value": "1"}]}
            body["tags"] = [{"key": "t", "value": "1"}]
            return Asked(method="POST", path="runs/log-batch", body=body, key=key)
        case "create a model version":
            client.send("POST", "registered-models/create", name=key)
            return Asked(method="POST", path="model-versions/create", body=version(key), key=key)
        case "set an alias":
            client.send("POST", "registered-models/create", name=key)
            client.send("POST", "model-versions/create", **version(key))
            body = {"name": key, "alias": "champion", "version": "1"}
            return Asked(method="POST", path="registered-models/alias", body=body, key=key)
        case "delete an experiment":
            home = client.send("POST", "experiments/create", name=key)["experiment_id"]
            client.send("POST", "runs/create", experiment_id=home, start_time=1)
            return Asked(method="POST", path="experiments/delete", body={"experiment_id": home}, key=key)
        case _:
            made = client.ask("POST", f"{FILES}/create/kept", json={"path": f"{place}.bin", "num_parts": 2}).json()
            tags = []
            for number in (1, 2):
                path = f"{FILES}/part/{made['upload_id']}/{number}"
                tag = client.ask("PUT", path, content=f"{place} {number}".encode()).headers["etag"]
                tags.append({"part_number": number, "etag": tag})
            body = {"path": f"{place}.bin", "upload_id": made["upload_id"], "parts": tags}
            return Asked(method="POST", path=f"{FILES}/complete/kept", body=body, key=key)


KINDS = (
    "create a run",
    "log a batch",
    "create a model version",
    "set an alias",
    "delete an experiment",
    "complete an upload",
)
