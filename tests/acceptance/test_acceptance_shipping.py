"""What MLflow's own client logged and registered walks the nine stages and answers; what cannot is told why."""

from __future__ import annotations

import json
import os
import urllib.request
from pathlib import Path

import pytest

from acceptance import stock
from ropewalk.cli import main
from ropewalk.demo.server import Server
from ropewalk.evidence.verify import verify
from ropewalk.house import open_house
from ropewalk.models import versions
from ropewalk.models.manifest import read_manifest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("shipping"),
    pytest.mark.skipif(
        not os.environ.get("ROPEWALK_TEST_SHIPPING") or not stock.python("mlflow").exists(),
        reason="a minute long: make stock, then ROPEWALK_TEST_SHIPPING=1",
    ),
]
SETTINGS = """
name = "churn"
[tests]
paths = []
[qa]
load_seconds = 0.2
p99_ms = 2000
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> tuple[Path, str]:
    """A project into which the stock client logged, and the run that did."""
    root = tmp_path_factory.mktemp("shipping") / "churn"
    root.mkdir()
    (root / "ropewalk.toml").write_text(SETTINGS)
    with Server(root, 0) as server:
        said = stock.run_script("mlflow", Path(__file__).parent / "shipping.py", server.url, root)
    return root, said.split()[-1]


def ship(root: Path, capsys, *words: str) -> tuple[int, dict]:
    status = main(["--project", str(root), "ship", *words, "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_a_registered_model_is_shipped_by_its_alias_answers_and_is_not_made_twice(lab, capsys):
    root, _ = lab

    status, told = ship(root, capsys, "models:/churn@champion")

    assert status == 0, told
    assert told["result"]["state"] == "live"
    assert [one["state"] for one in told["result"]["stages"]].count("failed") == 0
    with Server(root, 0) as server:
        body = json.dumps({"records": [{"plan": "a", "age": 20.0}, {"plan": "b", "age": 20.0}]}).encode()
        asked = urllib.request.Request(
            f"{server.url}/endpoints/churn/predict", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(asked) as answer:
            found = json.loads(answer.read())
    assert "probability" in json.dumps(found)
    again, told = ship(root, capsys, "models:/churn@champion")
    assert again == 0, told
    with open_house(root) as house, house.site.db.read() as rows:
        made = versions.list_versions(rows, "churn")
        assert [bool(one.manifest) for one in sorted(made, key=lambda one: one.version)] == [False, True]
        assert versions.tags(rows, made[0])["ropewalk.adopted_from"] == "models:/churn/1"
        contract = read_manifest(house.site.blobs, made[0].manifest).signature.inputs
        assert [(one.name, one.type) for one in contract] == [("plan", "string"), ("age", "float")]
        assert verify(house.site).findings == ()


def test_rows_with_labels_are_what_it_is_judged_by(lab, capsys):
    root, _ = lab
    (root / "ropewalk.toml").write_text(f'{SETTINGS}\n[[gates]]\nmetric = "roc_auc"\nat_least = 0.5\n')

    unjudged, why = ship(root, capsys, "churn/1")
    status, told = ship(root, capsys, "models:/bare/1", "--rows", str(root / "rows.csv"), "--target", "left")

    (root / "ropewalk.toml").write_text(SETTINGS)
    assert unjudged == 1
    assert "only 0 holdout rows" in json.dumps(why)
    assert (status, told["result"]["state"]) == (0, "live"), told


def test_a_model_of_a_run_is_shipped_by_its_path(lab, capsys):
    root, run = lab

    status, told = ship(root, capsys, f"runs:/{run}/line", "--no-wait")

    assert status == 0, told


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["models:/odd/1"], "model-not-shippable", "plain columns"),
        (["models:/bare/1"], "model-not-shippable", "signature"),
        (["models:/nothing/1"], "model-not-found", ""),
        (["runs:/nothing"], "model-source-invalid", ""),
        (["models:/churn/1", "--rows", "/nowhere.csv", "--target", "left"], "rows-not-found", ""),
        (["models:/churn/1", "--target", "left"], "usage", ""),
    ],
)
def test_what_cannot_be_shipped_says_why(lab, capsys, words, code, why):
    status, told = ship(lab[0], capsys, *words)

    assert (status, told["error"]["code"]) == (2 if code == "usage" else 1, code)
    assert why in told["error"]["why"]
