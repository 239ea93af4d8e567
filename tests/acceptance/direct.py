"""A large file by MLflow's own client, in parts and back; run inside `.venv-mlflow`, prints what it saw."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import mlflow
import requests

MIB = 1 << 20
sent: list[str] = []
put = requests.put


def watched(url: str, **given: object) -> requests.Response:
    """Note where a part goes, and send it."""
    sent.append(url.split("?", 1)[0])
    return put(url, **given)


requests.put = watched
data = os.urandom(12 * MIB)
Path("big.bin").write_bytes(data)
with mlflow.start_run() as run:
    mlflow.log_artifact("big.bin", "models")
(found,) = mlflow.MlflowClient().list_artifacts(run.info.run_id, "models")
assert found.file_size == 12 * MIB, found

os.environ["MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD"] = "true"
here = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="models/big.bin", dst_path="there")
assert hashlib.sha256(Path(here).read_bytes()).digest() == hashlib.sha256(data).digest()
assert len(sent) == 3, sent
sys.stdout.write("\n".join(sent) + "\n")
