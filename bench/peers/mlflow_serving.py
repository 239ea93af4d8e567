"""`mlflow models serve` with one worker."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from serving_model import fit


def prepare(folder: Path) -> None:
    import mlflow.sklearn

    mlflow.sklearn.save_model(
        fit(folder), folder / "mlflow", pyfunc_predict_fn="predict_proba", serialization_format="cloudpickle"
    )


def serve(folder: Path, port: int) -> None:
    program = str(Path(sys.executable).with_name("mlflow"))
    words = ["models", "serve", "-m", str(folder / "mlflow"), "-h", "127.0.0.1", "-p", str(port)]
    os.execv(program, [program, *words, "--env-manager", "local", "--workers", "1"])


if __name__ == "__main__":
    where = Path(sys.argv[2])
    prepare(where) if sys.argv[1] == "prepare" else serve(where, int(sys.argv[3]))
