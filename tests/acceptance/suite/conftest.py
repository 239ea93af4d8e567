"""Fixtures of the suite that runs inside `.venv-mlflow`: MLflow's own client, and whatever server its address names."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator

import mlflow
import pytest
from mlflow import MlflowClient


@pytest.fixture(scope="session", autouse=True)
def _addressed() -> None:
    # A client that waits for minutes before it says what is wrong would hide what is wrong.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    # Traces go in batches after two seconds; the examples wait for that, once.
    os.environ.setdefault("MLFLOW_ENABLE_ASYNC_TRACE_LOGGING", "false")
    mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])


@pytest.fixture
def client() -> MlflowClient:
    return MlflowClient()


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Make names that no other test and no earlier run of the suite has taken."""
    return lambda stem: f"{stem}-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def experiment(unique) -> str:
    """A fresh experiment, set as the active one; its id."""
    return mlflow.set_experiment(unique("experiment")).experiment_id


@pytest.fixture
def run(client, experiment) -> str:
    """A fresh run in a fresh experiment; its id."""
    return client.create_run(experiment).info.run_id


@pytest.fixture(autouse=True)
def _left_clean() -> Iterator[None]:
    yield
    while mlflow.active_run():
        mlflow.end_run()
    mlflow.set_registry_uri("")
