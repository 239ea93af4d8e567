"""Ray Serve with one replica; for a forest with its batching."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from ray import serve
from serving_model import keep, load, trees_of
from starlette.requests import Request

FOLDER = Path(sys.argv[2])


class Flights:
    """Answers."""

    def __init__(self, folder: str) -> None:
        self.model = load(Path(folder))

    async def __call__(self, request: Request) -> Any:
        rows = np.array((await request.json())["inputs"])
        return {"probability": self.model.predict_proba(rows)[:, 1].tolist()}


class Batched(Flights):
    """Answers several requests at once."""

    @serve.batch(max_batch_size=32, batch_wait_timeout_s=0.001)
    async def together(self, several: list[Any]) -> list[Any]:
        found = self.model.predict_proba(np.concatenate(several))[:, 1]
        return [part.tolist() for part in np.split(found, np.cumsum([len(one) for one in several])[:-1])]

    async def __call__(self, request: Request) -> Any:
        return {"probability": await self.together(np.array((await request.json())["inputs"]))}


def run(port: int) -> None:
    import ray

    ray.init(include_dashboard=False, num_cpus=2, log_to_driver=False, configure_logging=False)
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    kind = Batched if trees_of(FOLDER) else Flights
    made = serve.deployment(kind, num_replicas=1, max_ongoing_requests=512)
    serve.run(made.bind(str(FOLDER)), route_prefix="/predict")
    while True:
        time.sleep(60)


if __name__ == "__main__":
    keep(FOLDER) if sys.argv[1] == "prepare" else run(int(sys.argv[3]))
