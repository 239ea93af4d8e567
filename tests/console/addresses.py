"""The addresses of the laboratory's pages."""

from __future__ import annotations

import re
from urllib.parse import quote

import httpx

from console import laboratory
from console.laboratory import EVIL, EVIL_MODEL

WIDE = "document.documentElement.scrollWidth <= window.innerWidth"


def pages(lab) -> list[str]:
    run, model = f"/runs/{lab.evil}", quote(EVIL_MODEL, safe="")
    files = [*laboratory.FILES, *(f"{EVIL_MODEL}{ending}" for ending in ("", ".html", ".csv", ".json"))]
    return [
        "/runs", "/runs?filter=nonsense+here", f"/runs?filter={quote(EVIL)}&sort={quote('metrics.' + EVIL)}",
        f"/runs?show={quote('tags.' + EVIL)}&show={quote('metrics.' + EVIL)}&experiment=4",
        f"/runs?experiment=4&named={quote(EVIL)}", "/runs?view=deleted", run, f"{run}/metric/{quote(EVIL)}",
        *(f"{run}/files/{quote(name)}" for name in files),
        f"/compare?{compared(lab, 3)}&run={lab.evil}",
        "/models", f"/models?filter={quote(EVIL)}", f"/models/{model}", f"/models/{model}/1",
        "/models/flights?at=2026-03-03",
        "/models/flights/3", "/prompts", "/prompts/answer", f"/prompts/p{model}", f"/prompts/p{model}/2",
        "/batches", f"/batches/{batch_of(lab)}", "/batches/do/score",
        "/traces", f"/traces?filter={quote(EVIL)}", f"/traces/tr-{1:032x}", f"/traces/tr-{2:032x}",
    ]  # fmt: skip


def batch_of(lab) -> str:
    (found,) = re.findall(
        r'id="batch-([0-9a-f-]{36})"', httpx.get(f"{lab.url}/batches", headers={"Accept": "text/html"}).text
    )
    return found


def compared(lab, count: int) -> str:
    return "&".join(f"run={run}" for run in runs_of(lab)[:count])


def runs_of(
    lab, address: str = "/runs?filter=attributes.status%3D'FINISHED'%20and%20params.depth%20like%20'%25'"
) -> list[str]:
    text = httpx.get(f"{lab.url}{address}", headers={"Accept": "text/html"}).text
    return re.findall(r'href="/runs/([0-9a-f]{32})"', text)
