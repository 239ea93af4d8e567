"""An endpoint with releases, traffic and sealed predictions, made by the rooms' own functions, without a gateway."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from ropewalk import leases
from ropewalk.data.profile import profile, to_json
from ropewalk.endpoints.journal import ENDING, Journal
from ropewalk.endpoints.segment import Segment, folder_of, seal
from ropewalk.models.manifest import Manifest, Output, Parity, Signature, write_manifest
from ropewalk.refs import uuid7
from ropewalk.releases import release as releases
from ropewalk.releases import traffic
from ropewalk.releases.traffic import Traffic
from ropewalk.site import Site

ENDPOINT = "flights"


def make_release(site: Site, *, train: pl.DataFrame | None = None, task: str = "binary") -> str:
    """Write a release with a model's manifest; return its id."""
    parts = {"model.skops": site.blobs.put(b"a model")}
    if train is not None:
        parts["profile.json"] = site.blobs.put(to_json(profile(train)))
    manifest = write_manifest(
        site.blobs,
        Manifest(
            name=ENDPOINT,
            flavor="sklearn",
            task=task,
            frame="polars",
            target="late",
            classes={"binary": (0, 1), "multiclass": ("a", "b", "c")}.get(task, ()),
            parts=parts,
            parity=Parity(passed=False, reason="not tried"),
            signature=Signature(inputs=(), outputs=(Output(name="probability", type="float"),)),
        ),
    )

    def begin(tx) -> str:
        return releases.begin(
            tx,
            site,
            name=ENDPOINT,
            environment="production",
            version=1,
            manifest=manifest,
            intent=str(site.clock.now_us()),
            lease=leases.take(site.clock.now_us(), fence=1),
        ).id

    return site.db.write(begin)


def set_traffic(site: Site, champion: str, **more: object) -> Traffic:
    """Change the traffic of the endpoint."""

    def change(tx) -> Traffic:
        now = traffic.current(tx, ENDPOINT)
        return traffic.change(tx, site, ENDPOINT, seen=now.generation if now else 0, champion=champion, **more)

    return site.db.write(change)


def capture(
    site: Site,
    release: str,
    rows: int,
    *,
    role: str = "champion",
    generation: int = 1,
    status: str | Sequence[str] = "ok",
    probability: float | Sequence[float | None] = 0.2,
    latency_us: int | Sequence[int] = 1000,
    key: Sequence[str | None] | None = None,
    pair: Sequence[str] | None = None,
    event_us: Sequence[int] | None = None,
    inputs: Mapping[str, Sequence[object]] | None = None,
) -> list[str]:
    """Seal one batch of predictions; return their ids."""
    now_us = site.clock.now_us()
    ids = [uuid7(now_us) for _ in range(rows)]
    frame = {
        "id": ids,
        "at_us": now_us,
        "event_us": list(event_us) if event_us is not None else now_us,
        "endpoint": ENDPOINT,
        "release": release,
        "role": role,
        "pair": pair,
        "key": key,
        "status": status,
        "error": None,
        "latency_us": latency_us,
        "generation": generation,
        "warnings": 0,
        "in": {name: list(values) for name, values in (inputs or {}).items()},
        "out": {"probability": [probability] * rows if isinstance(probability, float) else list(probability)},
    }
    sealed(site, frame, rows)
    return ids


def sealed(site: Site, frame: dict[str, object], rows: int, endpoint: str = ENDPOINT) -> Segment:
    """Write a frame through a journal into a sealed segment."""
    folder = folder_of(site, endpoint)
    folder.mkdir(parents=True, exist_ok=True)
    journal = Journal(folder / f"{uuid7(site.clock.now_us())}{ENDING}")
    journal.append(frame, rows)
    journal.close()
    segment = seal(site, endpoint, journal.path)
    assert segment is not None
    return segment
