"""What others' own clients, unmodified, find at an endpoint; each runs in an environment of its own."""

from __future__ import annotations

import json
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from endpoints.calls import Rpc
from endpoints.live import Caller, add_release, bundle_with, serving, split
from ropewalk.endpoints import capture
from ropewalk.endpoints.runtime import COMMAND
from ropewalk.models.log import log_model
from ropewalk.models.manifest import read_manifest
from ropewalk.runs.log import Collector, collecting
from ropewalk.site import Site

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
GUIDE = ROOT / "docs" / "guides" / "protocols.md"
TRITON, MLFLOW = (ROOT / f".venv-{name}" / "bin" / "python" for name in ("triton", "mlflow"))


def run(python: Path, *words: str, given: str | None = None) -> str:
    done = subprocess.run([python, *words], input=given, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not TRITON.exists(), reason="make stock makes .venv-triton")
def test_tritons_own_clients_find_all_that_they_ask_for(served: tuple[Caller, Rpc], real: Site) -> None:
    caller, rpc = served
    plain = caller.predict({"x": 0.5, "city": "EWR"}, {"x": 3.0, "city": "JFK"})[1]["predictions"]

    told = run(TRITON, str(HERE / "triton_client.py"), caller.url.removeprefix("http://"), f"127.0.0.1:{rpc.port}")

    ids = set(capture.read(real, "flights")["id"].to_list())
    for client in json.loads(told).values():
        assert [client[name] for name in ("live", "ready", "model", "nobody", "only")] == [
            True,
            True,
            True,
            False,
            True,
        ]
        assert client["probability"] == [one["probability"] for one in plain]
        assert client["label"] == [1, 1]
        assert set(client["ids"]) < ids
        nobody, unfit, load, unload = client["errors"]
        assert "those served here: flights" in nobody
        assert "field 'x'] is missing" in unfit
        assert ("ropewalk ship" in load, "ropewalk rollback" in unload) == (True, True)
        assert [one["name"] for one in client["metadata"]] == ["x", "city"]
        assert [one["data_type"] for one in client["config"]] == ["TYPE_FP64", "TYPE_STRING"]
        assert [(one["name"], one["state"]) for one in client["index"]] == [("flights", "READY")]
        assert client["counted"] >= 6
        assert "binary_tensor_data" in client["extensions"]
    assert json.loads(told)["http"]["text"] == json.loads(told)["http"]["gzip"] == [1]
    assert "inputs" in json.loads(told)["grpc"]["late"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(not TRITON.exists() or not shutil.which("curl"), reason="make stock makes .venv-triton")
def test_every_block_of_the_guide_works(served: tuple[Caller, Rpc], real: Site) -> None:
    caller, rpc = served
    script = "set -euo pipefail\n" + "".join(blocks("sh")).replace("curl -s", "curl -sS --fail-with-body")
    told = {"ADDRESS": caller.url, "PATH": "/usr/bin:/bin"}

    shell = subprocess.run(["bash", "-c", script], env=told, capture_output=True, text=True, check=False)
    triton = "".join(block for block in blocks("python") if "triton" in block)
    names = f"address, rpc_address = {caller.url.removeprefix('http://')!r}, '127.0.0.1:{rpc.port}'\n"
    clients = run(TRITON, "-c", names + triton)
    tables = "".join(block for block in blocks("python") if "polars" in block)
    frame = run(Path(sys.executable), "-c", f"address = {caller.url!r}\n{tables}")

    assert shell.returncode == 0, shell.stdout + shell.stderr
    assert shell.stdout.count('"predictions":[') == 6
    assert "prediction_id" in shell.stdout
    assert clients.count("[1]") == 1
    assert "probability" in frame
    assert capture.read(real, "flights").height == 1 + 6 + 1 + 2 + 1 + 2


ROWS = pl.DataFrame(
    {
        "x": [float(at % 17) for at in range(120)],
        "legs": [at % 3 for at in range(120)],
        "city": ["EWR" if at % 3 else "JFK" for at in range(120)],
        "wind": [None if at % 5 == 0 else at / 10 for at in range(120)],
        "at": [f"2013-09-{1 + at % 28:02d}T06:00:00" for at in range(120)],
        "late": [int(at % 17 > 8) for at in range(120)],
    }
).with_columns(pl.col("at").str.to_datetime())


@pytest.fixture
def trained(real: Site, tmp_path: Path) -> Path:
    """A pipeline of scikit-learn's, live at `flights`, and pickled for MLflow."""
    import pandas as pd
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    prepare = make_column_transformer(
        ("passthrough", ["x", "legs"]), (OneHotEncoder(handle_unknown="ignore"), ["city"]), (SimpleImputer(), ["wind"])
    )
    rows = pd.DataFrame(ROWS.drop("late").to_dict(as_series=False))
    model = make_pipeline(prepare, LogisticRegression(max_iter=500)).fit(rows, ROWS["late"].to_list())
    with collecting(Collector(real.blobs, real.clock)):
        manifest = log_model(model, "flights", train=ROWS, target="late")
    contract = read_manifest(real.blobs, manifest).parts["contract.json"]
    split(real, add_release(real, 1, bundle_with(real, manifest, contract, 1)))
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(model))
    return path


def bodies() -> list[tuple[str, str]]:
    """Return bodies that both servers answer alike, then those that both refuse."""
    rows = ROWS.drop("late").head(12).with_columns(pl.col("at").dt.to_string("iso"))
    records, columns = rows.to_dicts(), rows.columns
    data = [list(row.values()) for row in records]
    said: list[Any] = [
        {"dataframe_split": {"columns": columns, "data": data}},
        {"dataframe_split": {"columns": columns[::-1], "data": [row[::-1] for row in data], "index": list(range(12))}},
        {"dataframe_records": records},
        {"dataframe_records": [{**row, "legs": float(row["legs"]), "more": 7} for row in records]},
        {"dataframe_records": records, "params": None},
        {"inputs": records},
        {"dataframe_records": [{name: value for name, value in row.items() if name != "x"} for row in records]},
        {"dataframe_records": [{**row, "x": "fast"} for row in records]},
        {"dataframe_records": records, "inputs": records},
        {"dataframe_split": [1]},
        {},
        [],
    ]
    comma = rows.write_csv()
    found = [("application/json", json.dumps(one)) for one in said]
    return [
        *found[:6],
        ("text/csv", comma),
        ("text/csv", comma.replace(",,", ",NaN,")),
        *found[6:],
        ("application/json", "{"),
        ("text/csv", rows.drop("x").write_csv()),
        ("text/plain", "x"),
    ]


@pytest.mark.skipif(not MLFLOW.exists(), reason="make stock makes .venv-mlflow")
def test_answers_as_mlflows_own_server_does(real: Site, trained: Path) -> None:
    rows = ROWS.drop("late").head(12).with_columns(pl.col("at").dt.to_string("iso"))
    with serving(real, command=COMMAND) as caller:
        given = {"url": caller.url, "model": str(trained), "rows": rows.to_dict(as_series=False), "bodies": bodies()}
        told = json.loads(run(MLFLOW, str(HERE / "mlflow_scored.py"), given=json.dumps(given)))

    alike, refused = told["pairs"][:8], told["pairs"][8:]
    for theirs, ours in alike:
        assert (theirs[0], ours[0]) == (200, 200), (theirs, ours)
        assert json.loads(ours[1]) == json.loads(theirs[1])
    for theirs, ours in refused:
        assert (ours[0], theirs[0]) in ((400, 400), (415, 415)), (theirs, ours)
        assert json.loads(ours[1]).keys() >= {"error_code", "message"}
    assert told["invoked"] == json.loads(alike[0][1][1])["predictions"]
    assert told["version"] == "3.17.2"
