"""LitServe with one worker; for a forest with batches of 32."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import litserve
import numpy as np
from serving_model import keep, load, trees_of

FOLDER = Path(sys.argv[2])


class Flights(litserve.LitAPI):
    """Answers one request, or a list of them."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - the library's own signature
        self.model = load(FOLDER)

    def decode_request(self, request):
        return np.array(request["inputs"])

    def batch(self, inputs: Any) -> Any:
        return list(inputs)

    def unbatch(self, output: Any) -> Any:
        return output

    def predict(self, x: Any) -> Any:
        several = x if isinstance(x, list) else [x]
        found = self.model.predict_proba(np.concatenate(several))[:, 1]
        parts = np.split(found, np.cumsum([len(one) for one in several])[:-1])
        return parts if isinstance(x, list) else parts[0]

    def encode_response(self, output: Any) -> Any:
        return {"probability": output.tolist()}


def serve(port: int) -> None:
    api = Flights(max_batch_size=32, batch_timeout=0.001) if trees_of(FOLDER) else Flights()
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=port, log_level="warning", access_log=False, generate_client_file=False)


if __name__ == "__main__":
    keep(FOLDER) if sys.argv[1] == "prepare" else serve(int(sys.argv[3]))
