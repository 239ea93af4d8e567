"""A BentoML service with one worker; for a forest with its adaptive batching."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import bentoml
import numpy as np
from serving_model import keep, load, trees_of

FOLDER = Path(os.environ.get("PEER_FOLDER") or sys.argv[2])
BATCHES = trees_of(FOLDER) > 0


@bentoml.service(workers=1, traffic={"timeout": 30}, metrics={"enabled": False})
class Flights:
    """Answers."""

    def __init__(self) -> None:
        self.model = load(FOLDER)

    @bentoml.api(batchable=BATCHES)
    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the probability of each row."""
        return self.model.predict_proba(inputs)[:, 1]


def serve(port: int) -> None:
    program = str(Path(sys.executable).with_name("bentoml"))
    os.environ |= {"PEER_FOLDER": str(FOLDER), "BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(FOLDER / "bentoml")}
    os.chdir(Path(__file__).parent)
    os.execv(program, [program, "serve", "bentoml_serving:Flights", "--host", "127.0.0.1", "--port", str(port)])


if __name__ == "__main__":
    keep(FOLDER) if sys.argv[1] == "prepare" else serve(int(sys.argv[3]))
