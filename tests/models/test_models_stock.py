"""A folder as MLflow's client writes it becomes a version that can be shipped, once; what cannot says why."""

from __future__ import annotations

import json
import os
import pickle

import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from ropewalk.artifacts import artifact
from ropewalk.data import contract
from ropewalk.errors import Refused
from ropewalk.models import adopt, registered, versions
from ropewalk.models.manifest import read_manifest
from ropewalk.runs import run as runs
from ropewalk.settings import Settings

ROWS = pd.DataFrame({"age": [20.0, 30.0, 50.0, 60.0], "plan": [1, 2, 1, 2]})
SIGNATURE = [{"type": "double", "name": "age", "required": True}, {"type": "long", "name": "plan", "required": False}]
EXAMPLE = {"columns": ["age", "plan"], "data": [[20.0, 1], [60.0, 2]]}


class Evil:
    def __reduce__(self):
        return os.system, ("true",)


def mlmodel(**more) -> str:
    plain = {
        "flavors": {"sklearn": {"pickled_model": "model.pkl", "serialization_format": "cloudpickle"}},
        "signature": {"inputs": json.dumps(SIGNATURE)},
        "saved_input_example_info": {"artifact_path": "input_example.json", "type": "dataframe"},
    }
    return json.dumps({**plain, **more})  # YAML understands JSON


def logged(site, *, model=None, text="", name="churn") -> str:
    """Put a model's files where a run keeps them, and register them as a client does; return the version's address."""
    fitted = LogisticRegression().fit(ROWS, [0, 0, 1, 1]) if model is None else model
    files = {
        "MLmodel": (text or mlmodel()).encode(),
        "model.pkl": pickle.dumps(fitted),
        "input_example.json": json.dumps(EXAMPLE).encode(),
    }

    def work(tx):
        for path, data in files.items():
            digest = site.blobs.put(data)
            artifact.put(tx, site, f"0/r/artifacts/net/{path}", digest, len(data), "", begun_us=site.clock.now_us())
        if registered.find(tx, name) is None:
            registered.create(tx, site, name)
        uri = "mlflow-artifacts:/0/r/artifacts/net"
        return versions.add(tx, site, name=name, source=uri, storage=uri)

    return f"models:/{site.db.write(work).ref}"


def to_ship(site, uri, **labelled):
    return adopt.to_ship(site, Settings(name="churn"), uri, labelled=adopt.Labelled(**labelled))


def test_a_model_becomes_a_version_by_its_signature_and_its_example_and_is_not_made_twice(site):
    uri = logged(site)

    made, again = to_ship(site, uri), to_ship(site, uri)

    assert made == again
    assert (made.name, made.version) == ("churn", 2)
    manifest = read_manifest(site.blobs, made.manifest)
    asked = contract.from_json(site.blobs.get(manifest.parts["contract.json"]))
    assert [(one.name, one.type, one.nullable) for one in asked.inputs] == [
        ("age", "float", False),
        ("plan", "int", True),
    ]
    assert (manifest.task, manifest.frame, manifest.classes) == ("binary", "pandas", (0, 1))
    with site.db.read() as reader:
        assert versions.tags(reader, made)[adopt.FROM] == uri
        assert runs.get(reader, made.run_id).state == runs.FINISHED


@pytest.mark.parametrize(
    ("given", "code", "why"),
    [
        (
            {"text": mlmodel(flavors={"python_function": {"loader_module": "own"}})},
            "model-not-shippable",
            "rows with labels",
        ),
        ({"text": mlmodel(flavors={"lightgbm": {"model_class": "x.Booster"}})}, "model-not-shippable", "x.Booster"),
        ({"text": mlmodel(signature=None)}, "model-not-shippable", "without a signature"),
        ({"text": mlmodel(saved_input_example_info=None)}, "model-not-shippable", "without an example"),
        ({"text": "["}, "model-not-shippable", "MLmodel"),
        (
            {"text": mlmodel(flavors={"sklearn": {"pickled_model": "../../../etc/passwd"}})},
            "model-not-shippable",
            "not there",
        ),
        ({"model": Evil()}, "model-not-trusted", "system"),
    ],
)
def test_what_cannot_be_shipped_says_why_and_leaves_nothing(site, given, code, why):
    uri = logged(site, **given)

    with pytest.raises(Refused) as caught:
        to_ship(site, uri)

    assert caught.value.code == code
    assert why in caught.value.why
    with site.db.read() as reader:
        assert len(versions.list_versions(reader, "churn")) == 1
