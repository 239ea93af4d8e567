"""What stock MLflow keeps, made once: an `mlruns` folder and a SQLite file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from acceptance import stock

HERE = Path(__file__).parent
ALLOWED = {"MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_DISABLE_AGENT_SETUP_HINT": "true"}


def made(folder: Path, url: str) -> None:
    if not stock.python("mlflow").exists():
        pytest.skip("make stock makes .venv-mlflow")
    stock.run_script("mlflow", HERE / "stocked.py", url, folder, ALLOWED)


def counted(url: str, folder: Path) -> dict:
    """What the stock client finds there."""
    said = stock.run_script("mlflow", HERE / "counted.py", url, folder, ALLOWED)
    # The client leaves a note in a folder that it loads a registered model from.
    for note in Path(url).rglob("registered_model_meta") if Path(url).is_dir() else ():
        note.unlink()
    return json.loads(next(line for line in said.splitlines() if line.startswith("told "))[5:])


@pytest.fixture(scope="session")
def mlruns(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An `mlruns` folder; look, but never write."""
    folder = tmp_path_factory.mktemp("file-store")
    made(folder, str(folder / "mlruns"))
    return folder / "mlruns"


@pytest.fixture(scope="session")
def sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with its artifacts in a folder beside it; look, but never write."""
    folder = tmp_path_factory.mktemp("sqlite")
    made(folder, f"sqlite:///{folder}/mlflow.db")
    return folder / "mlflow.db"
