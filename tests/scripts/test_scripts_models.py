"""Scripts as tutorials write them are captured whole, unchanged, and their models answer over HTTP at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from ropewalk.models.manifest import read_manifest
from scripts.serving import serve

EXAMPLES = Path(__file__).parent.parent.parent / "examples" / "scripts"
TORCH = Path(__file__).parent.parent.parent / ".venv-torch" / "bin" / "python"


def manifest_of(shop, done):
    return read_manifest(shop.house.site.blobs, done.model)


@pytest.mark.slow
@pytest.mark.timeout(600)  # whole libraries are imported, by several processes
def test_an_xgboost_tutorial_is_captured_and_served(shop):
    shutil.copy(EXAMPLES / "diabetes.py", shop.root)

    done = shop.run("diabetes.py")

    assert (done.status, done.why) == (0, "")
    assert done.seen.model["rule"] == "the model that the script wrote to diabetes.ubj"
    assert "diabetes.ubj" in shop.files(done)
    assert shop.facts(done, "metric")["holdout_rmse"] == pytest.approx(52.4, abs=3)
    manifest = manifest_of(shop, done)
    assert (manifest.flavor, manifest.task) == ("xgboost", "regression")
    assert [field.name for field in manifest.signature.inputs][:3] == ["age", "sex", "bmi"]
    with serve(shop.root) as server:
        assert 25 < server.ask()["predictions"][0]["prediction"] < 350


def torch_python() -> str:
    """Return an interpreter that has torch and scikit-learn: this one, or that of `.venv-torch`; empty for none."""
    if find_spec("torch") is not None:
        return sys.executable
    if not TORCH.exists():
        return ""
    tried = subprocess.run([TORCH, "-c", "import torch, sklearn"], capture_output=True, check=False)
    return "" if tried.returncode else str(TORCH)


@pytest.mark.slow
@pytest.mark.timeout(600)  # whole libraries are imported, by several processes
def test_a_torch_tutorial_is_captured_and_served(shop):
    python = torch_python()
    if not python:
        assert os.environ.get("ROPEWALK_TEST_TORCH", "") != "1", "torch was asked for, and is not there"
        pytest.skip("no interpreter here has torch: ROPEWALK_TEST_TORCH=1 makes .venv-torch")
    shutil.copy(EXAMPLES / "iris.py", shop.root)

    done = shop.run(python, "iris.py")

    assert (done.status, done.why) == (0, "")
    assert done.seen.model["rule"] == "the model that the script wrote to iris.pt"
    manifest = manifest_of(shop, done)
    assert (manifest.flavor, manifest.task, manifest.classes) == ("torch", "multiclass", (0, 1, 2))
    assert manifest.parity.passed
    assert set(manifest.parts) & {"model.skops", "model.pkl"} == set()
    with serve(shop.root) as server:
        given = server.ask()["predictions"][0]
    assert sum(given[f"probability.{place}"] for place in range(3)) == pytest.approx(1)
