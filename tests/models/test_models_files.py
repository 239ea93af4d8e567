"""A model file is shipped by its ending; an evil one is refused, does nothing, and stands in the ledger."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
import zlib

import joblib
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from ropewalk.errors import Refused
from ropewalk.ledger import chain
from ropewalk.models import adopt
from ropewalk.models.manifest import read_manifest
from ropewalk.settings import Settings
from ropewalk.testing.evil import evil_pickles

ROWS = pl.DataFrame({"age": [20.0, 30.0, 50.0, 60.0], "plan": [1.0, 2.0, 1.0, 2.0], "late": [0, 0, 1, 1]})


@pytest.fixture
def ship(site, tmp_path):
    def run(name, data):
        path = tmp_path / name
        path.write_bytes(data)
        ROWS.write_csv(tmp_path / "rows.csv")
        labelled = adopt.Labelled(file=tmp_path / "rows.csv", target="late")
        return adopt.to_ship(site, Settings(name="churn"), str(path), labelled=labelled)

    return run


def test_a_joblib_file_becomes_a_version_once(site, ship):
    out = io.BytesIO()
    joblib.dump(LogisticRegression().fit(ROWS.select("age", "plan").to_numpy(), ROWS["late"].to_numpy()), out)

    made, again = ship("model.joblib", out.getvalue()), ship("model.joblib", out.getvalue())

    assert made == again
    manifest = read_manifest(site.blobs, made.manifest)
    assert (manifest.flavor, manifest.task, manifest.native_part) == ("sklearn", "binary", "model.skops")


def _zip(name: str, data: bytes, *, link: bool = False) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        item = zipfile.ZipInfo(name)
        item.external_attr = (0o120777 if link else 0o100644) << 16
        archive.writestr(item, data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


BOMBS = {
    "zip bomb.skops": _zip("schema.json", bytes(80 << 20)),
    "zlib bomb.pkl": zlib.compress(bytes(80 << 20)),
    "up.skops": _zip("../../evil", b"{}"),
    "absolute.pt": _zip("/tmp/evil", b"{}"),
    "link.pt2": _zip("weights", b"/etc/passwd", link=True),
    "object array.skops": _zip(
        "a.npy", b"\x93NUMPY\x01\x00\x76\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"
    ),
    "torch calls os.pt": _zip("m/data.pkl", b"cos\nsystem\n(X\x04\x00\x00\x00truetR."),
    "cut.skops": _zip("schema.json", b"{}")[:-10],
    "no end.pkl": pickle.dumps({"a": 1})[:-1],
    "extension.pkl": b"\x80\x02\x82\x01.",
    "persistent.pkl": b"\x80\x02X\x01\x00\x00\x00aQ.",
    "no graph.onnx": b"\xff" * 30 + b"location",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_or_a_path_trick_is_refused_before_anything_reads_it(site, ship, name, monkeypatch):
    monkeypatch.setattr(adopt.subprocess, "run", lambda *_, **__: pytest.fail("a process was started"))

    with pytest.raises(Refused) as caught:
        ship(name, BOMBS[name])

    assert caught.value.code == "model-not-trusted"
    assert caught.value.why
    assert caught.value.fix
    assert refusals(site)[-1]["from"] == f"file:{name}"


def test_every_evil_pickle_is_refused_leaves_no_mark_and_stands_in_the_ledger(site, ship, tmp_path):
    marks = tmp_path / "marks"
    marks.mkdir()
    offered = [(f"{evil.name}{ending}", evil) for evil in evil_pickles(marks) for ending in (".pkl", ".dill")]

    for name, evil in offered:
        with pytest.raises(Refused) as caught:
            ship(name, evil.data)
        assert caught.value.code == "model-not-trusted", name

    assert list(marks.iterdir()) == []
    assert [one["from"] for one in refusals(site)] == [f"file:{name}" for name, _ in offered]
    assert all(one["digest"].startswith("sha256:") for one in refusals(site))


def refusals(site):
    with site.db.read() as reader:
        return [json.loads(one.body) for one in chain.entries(reader) if one.kind == "model.refused"]
