"""MLServer with the model in its own process; for a forest with its adaptive batching."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from serving_model import fit, trees_of


def prepare(folder: Path) -> None:
    import joblib

    made = folder / "mlserver"
    made.mkdir()
    joblib.dump(fit(folder), made / "model.joblib")
    batch = {"max_batch_size": 32, "max_batch_time": 0.001} if trees_of(folder) else {}
    model = {
        "name": "flights",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": "./model.joblib"},
    }
    (made / "model-settings.json").write_text(json.dumps({**model, **batch}))


def serve(folder: Path, port: int) -> None:
    ports = {"http_port": port, "grpc_port": port + 1, "metrics_port": port + 2}
    settings = {"host": "127.0.0.1", "parallel_workers": 0, "debug": False, **ports}
    (folder / "mlserver" / "settings.json").write_text(json.dumps(settings))
    program = str(Path(sys.executable).with_name("mlserver"))
    os.execv(program, [program, "start", str(folder / "mlserver")])


if __name__ == "__main__":
    where = Path(sys.argv[2])
    prepare(where) if sys.argv[1] == "prepare" else serve(where, int(sys.argv[3]))
