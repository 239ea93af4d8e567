"""Puts bodies to MLflow's scoring server and to ours, as a script that runs in `.venv-mlflow`."""

from __future__ import annotations

import asyncio
import json
import pickle
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.models import infer_signature
from mlflow.pyfunc import scoring_server
from mlflow.pyfunc.scoring_server.client import ScoringServerClient


def theirs(app, kind: str, body: bytes) -> list[object]:
    """Return status and body of the app that `mlflow models serve` runs, asked without a socket."""
    told: list[dict] = []

    async def receive() -> dict:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict) -> None:
        told.append(message)

    headers = [(b"content-type", kind.encode())]
    scope = {"type": "http", "method": "POST", "path": "/invocations", "headers": headers, "query_string": b""}
    asyncio.run(app({**scope, "asgi": {"version": "3.0"}, "raw_path": b"/invocations", "root_path": ""}, receive, send))
    return [told[0]["status"], b"".join(one.get("body", b"") for one in told[1:]).decode()]


def ours(url: str, kind: str, body: bytes) -> list[object]:
    """Return status and body of the endpoint."""
    request = urllib.request.Request(f"{url}/invocations", body, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request) as answer:
            return [answer.status, answer.read().decode()]
    except urllib.error.HTTPError as error:
        return [error.code, error.read().decode()]


def main() -> None:
    """Serve the pickled model as MLflow does, and ask both."""
    given = json.loads(sys.stdin.read())
    model = pickle.loads(Path(given["model"]).read_bytes())
    rows = pd.DataFrame(given["rows"])
    rows["at"] = pd.to_datetime(rows["at"])
    apps = {}
    with tempfile.TemporaryDirectory() as folder:
        # MLflow's server cannot read a CSV file for a signature with times in it.
        for kind, signature in (("application/json", infer_signature(rows, model.predict(rows))), ("text/csv", None)):
            path = Path(folder) / kind.replace("/", "-")
            mlflow.sklearn.save_model(
                model, path, signature=signature, pip_requirements=[], serialization_format="pickle"
            )
            apps[kind] = scoring_server.init(mlflow.pyfunc.load_model(str(path)))
    default = apps["application/json"]
    pairs = [
        [theirs(apps.get(kind, default), kind, body.encode()), ours(given["url"], kind, body.encode())]
        for kind, body in given["bodies"]
    ]
    address = given["url"].rpartition("/")[2]
    client = ScoringServerClient(*address.split(":"))
    client.ping()
    frame = rows.assign(at=rows["at"].astype(str))
    invoked = client.invoke(frame).get_predictions()[0].tolist()
    sys.stdout.write(json.dumps({"pairs": pairs, "version": client.get_version(), "invoked": invoked}))


if __name__ == "__main__":
    main()
