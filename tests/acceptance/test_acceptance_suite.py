"""MLflow's own client, unmodified, works with our server: the suite that runs in `.venv-mlflow`, case by case."""

from __future__ import annotations

from pathlib import Path

import pytest

from acceptance import stock
from ropewalk.demo.server import Server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("acceptance"),
    pytest.mark.timeout(480),
    pytest.mark.skipif(not stock.python("mlflow").exists(), reason="make stock makes .venv-mlflow"),
]


@pytest.fixture(scope="module")
def told(tracked: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[stock.Case]]:
    """What the suite told of each of its cases."""
    folder: Path = tmp_path_factory.mktemp("acceptance")
    return stock.run_suite(tracked.url, folder, 450)


@pytest.mark.parametrize("name", stock.cases())
def test_the_stock_client_is_served(told, name):
    runs = told.get(name, [])

    failed = "\n\n".join(f"{case.name}\n{case.words}" for case in runs if case.outcome == "failed")
    assert runs, f"the suite did not run {name}"
    assert failed == ""
    if all(case.outcome == "skipped" for case in runs):
        pytest.skip(runs[0].words)


def test_the_suite_left_nothing_out(told):
    assert set(told) == set(stock.cases())
