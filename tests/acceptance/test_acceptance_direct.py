"""MLflow's own client sends the parts of a large file to the object store, and reads it from there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from acceptance import stock
from ropewalk.blobs.objects import ObjectBucket
from ropewalk.demo.server import Server
from ropewalk.testing.blobs_objects import s3_server

PARTS = {
    "MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE": str(5 << 20),
    "MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE": str(5 << 20),
}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not stock.python("mlflow").exists(), reason="make stock makes .venv-mlflow"),
]


def test_the_stock_client_sends_a_large_file_past_the_server(tmp_path: Path, monkeypatch):
    with s3_server() as s3:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        for name, value in s3.items():
            monkeypatch.setenv(name, value)
        root = tmp_path / "lab"
        root.mkdir()
        words = 'name = "lab"\n[blobs]\nurl = "s3://kept/lab"\n[tracking]\ndirect_uploads = true\n'
        (root / "ropewalk.toml").write_text(words)
        with Server(root, 0) as server:
            said = stock.run_script("mlflow", Path(__file__).parent / "direct.py", server.url, tmp_path, PARTS)
        bucket = ObjectBucket("s3://kept/lab", tmp_path / "objects")
        left = bucket.aside().tidy(1 << 62)

    places = [line for line in said.splitlines() if "/uploads/" in line]
    assert {place.rpartition("/")[2] for place in places} == {"00001", "00002", "00003"}
    assert all(place.startswith(f"{s3['AWS_ENDPOINT_URL']}/kept/lab/uploads/") for place in places)
    assert left == 0
