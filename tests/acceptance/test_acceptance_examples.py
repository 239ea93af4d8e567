"""Scripts in the style of MLflow's documentation run unmodified against our server; so does the small client."""

from __future__ import annotations

from pathlib import Path

import pytest

from acceptance import stock

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("examples")]
SCRIPTS = sorted(stock.EXAMPLES.glob("*.py"))


def test_there_are_as_many_examples_as_were_promised():
    assert len(SCRIPTS) >= 8
    told = (stock.EXAMPLES / "README.md").read_text()
    assert [one.name for one in SCRIPTS if f"`{one.name}`" not in told] == []
    assert [one.name for one in SCRIPTS if "ropewalk" in one.read_text().lower()] == []


@pytest.mark.skipif(not stock.python("mlflow").exists(), reason="make stock makes .venv-mlflow")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_an_example_of_the_stock_client_runs_unmodified(tracked, tmp_path: Path, script: Path):
    said = stock.run_script("mlflow", script, tracked.url, tmp_path)

    assert said.strip()
    # What it logged went to the server, not beside the script.
    assert not (tmp_path / "mlruns").exists()
    assert not (tmp_path / "mlflow.db").exists()


@pytest.mark.skipif(not stock.python("skinny").exists(), reason="make stock makes .venv-skinny")
def test_the_small_client_is_served(tracked, tmp_path: Path):
    said = stock.run_script("skinny", Path(__file__).parent / "skinny.py", tracked.url, tmp_path)

    assert said.endswith("skinny works\n")
