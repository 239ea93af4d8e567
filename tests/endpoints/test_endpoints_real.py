from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import polars as pl
import pytest

from endpoints.live import Caller, add_release, bundle_with, serving, split
from ropewalk.endpoints import capture
from ropewalk.endpoints.batch import score, score_model
from ropewalk.endpoints.runtime import COMMAND
from ropewalk.endpoints.staging import serve_bundle
from ropewalk.errors import Invalid, RopewalkError
from ropewalk.models.log import log_model
from ropewalk.models.manifest import read_manifest
from ropewalk.releases.bundle import read_bundle
from ropewalk.runs.log import Collector, collecting
from ropewalk.site import Site

pytest.importorskip("sklearn")


@pytest.fixture
def rows() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "x": [float(at % 17) for at in range(200)],
            "late": [int(at % 17 > 8) for at in range(200)],
            "city": ["EWR" if at % 3 else "JFK" for at in range(200)],
            "wind": [None if at % 5 == 0 else at / 10 for at in range(200)],
        }
    )


@pytest.fixture
def bundle(real: Site, rows: pl.DataFrame) -> str:
    """A bundle with a pipeline that scikit-learn really fitted."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    prepare = make_column_transformer(
        (StandardScaler(), ["x"]), (OneHotEncoder(handle_unknown="ignore"), ["city"]), (SimpleImputer(), ["wind"])
    )
    model = make_pipeline(prepare, LogisticRegression()).fit(rows.drop("late"), rows["late"])
    with collecting(Collector(real.blobs, real.clock)):
        manifest = log_model(model, "flights", train=rows, target="late")
    contract = read_manifest(real.blobs, manifest).parts["contract.json"]
    return bundle_with(real, manifest, contract, 1)


def test_one_by_one_all_at_once_and_in_batch_give_the_same_bits(real: Site, rows: pl.DataFrame, bundle: str) -> None:
    records = rows.drop("late").head(40).to_dicts()
    split(real, add_release(real, 1, bundle))

    with serving(real, command=COMMAND) as caller:
        alone = [caller.predict(record)[1]["predictions"][0] for record in records[:10]]
        together = caller.predict(*records)[1]["predictions"]
        facts = caller.gateway.board.routes["flights"].champion.lane.facts
    scored = score(real, bundle, rows)

    assert facts["engine"] in ("onnx", "native")
    assert [one["probability"] for one in alone] == [one["probability"] for one in together[:10]]
    assert [one["probability"] for one in together] == scored["probability"].to_list()[:40]
    assert [one["label"] for one in together] == scored["label"].to_list()[:40]
    captured = capture.find(real, together[7]["id"])
    assert captured is not None
    empty = capture.find(real, together[0]["id"])
    assert empty is not None
    assert empty["in.wind"] is None
    again = score(real, bundle, pl.DataFrame([{name: captured[f"in.{name}"] for name in ("x", "city", "wind")}]))
    assert again["probability"].to_list() == [captured["out.probability"]]


def test_scoring_says_which_columns_it_misses(real: Site, rows: pl.DataFrame, bundle: str) -> None:
    with pytest.raises(Invalid, match="lacks columns"):
        score(real, bundle, rows.drop("x"))

    empty = score_model(real, read_bundle(real.blobs, bundle).manifest, rows.head(0))
    windless = rows.head(5).with_columns(wind=None)

    assert score(real, bundle, rows.head(5).drop("wind")).equals(score(real, bundle, windless))
    assert (empty.height, empty.columns) == (0, ["probability", "label"])


def test_a_bundle_is_staged_alone_and_leaves_nothing_behind(real: Site, bundle: str) -> None:
    with serve_bundle(real, bundle) as url:
        caller = Caller(url=url)
        status, answer = caller.predict({"x": 3.0, "city": "EWR", "wind": None})
        caller.close()

    assert (status, answer["predictions"][0]["label"]) == (200, 0)
    assert not (real.hidden / "capture").exists()
    parts = urlsplit(url)
    with pytest.raises(OSError, match="refused"):
        http.client.HTTPConnection(parts.hostname, parts.port, timeout=5).request("GET", "/")


def flip(site: Site, digest: str) -> None:
    path = site.blobs.path_of(digest)
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_tampered_model_is_refused_by_staging_batch_and_gateway(real: Site, rows: pl.DataFrame, bundle: str) -> None:
    parts: dict[str, Any] = read_manifest(real.blobs, read_bundle(real.blobs, bundle).manifest).parts
    for name in ("model.onnx", "model.skops", "model.pkl"):
        if name in parts:
            flip(real, parts[name])
    split(real, add_release(real, 1, bundle))

    with pytest.raises(RopewalkError) as staged, serve_bundle(real, bundle):
        pass
    with pytest.raises(RopewalkError) as scored:
        score(real, bundle, rows)
    with serving(real, command=COMMAND) as caller:
        status, _, body = caller.ask(
            "POST", "/endpoints/flights/predict", {"records": [{"x": 1.0, "city": "EWR", "wind": 1.0}]}
        )

    assert (staged.value.code, scored.value.code) == ("blob-corrupt", "blob-corrupt")
    assert (status, "blob-corrupt" in json.loads(body)["why"]) == (503, True)
