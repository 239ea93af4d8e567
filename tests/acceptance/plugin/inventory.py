"""A plugin of the suite's pytest: what MLflow's client can be asked and what of it the suite asks, written to a file.

It runs inside `.venv-mlflow`. The file named by `ROPEWALK_INVENTORY` holds, as JSON: the methods of `MlflowClient`, the
functions of `mlflow`, `mlflow.artifacts` and `mlflow.genai`; those that were called; the addresses that are named by
the protocol's own tables.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import os
import pkgutil
from pathlib import Path
from typing import Any

import mlflow
import mlflow.artifacts
import mlflow.genai
import mlflow.protos
import pytest
from mlflow import MlflowClient
from mlflow.protos import databricks_pb2

CALLED: set[str] = set()
_HELD = {"client": MlflowClient, "mlflow": mlflow, "mlflow.artifacts": mlflow.artifacts, "mlflow.genai": mlflow.genai}


def public(holder: Any) -> list[str]:
    """Return the functions that a module or class offers, by name."""
    names = getattr(holder, "__all__", None) or [name for name in dir(holder) if not name.startswith("_")]
    inside = holder.__module__ if inspect.isclass(holder) else holder.__name__
    found = {name: getattr(holder, name, None) for name in names}
    offered = getattr(holder, "__all__", None) is not None or inspect.isclass(holder)
    return sorted(
        name for name, one in found.items() if inspect.isroutine(one) and (offered or one.__module__ == inside)
    )


def endpoints() -> list[list[str]]:
    """Return service, method, verb and path of every address in the protocol's tables."""
    rows: set[tuple[str, str, str, str]] = set()
    for module in pkgutil.iter_modules(mlflow.protos.__path__):
        if module.name.endswith("_pb2"):
            described = importlib.import_module(f"mlflow.protos.{module.name}").DESCRIPTOR
            for service in described.services_by_name.values():
                for method in service.methods:
                    for one in method.GetOptions().Extensions[databricks_pb2.rpc].endpoints:
                        rows.add((service.full_name, method.name, one.method, f"/{one.path.lstrip('/')}"))
    return [list(row) for row in sorted(rows)]


def watch(holder: Any, room: str, name: str) -> None:
    """Note when a function is called; it does what it did."""
    original = inspect.getattr_static(holder, name)
    static = isinstance(original, staticmethod)
    work = original.__func__ if static else original

    @functools.wraps(work)
    def noted(*given: Any, **named: Any) -> Any:
        CALLED.add(f"{room}.{name}")
        return work(*given, **named)

    setattr(holder, name, staticmethod(noted) if static else noted)


def pytest_configure() -> None:
    for room, holder in _HELD.items():
        for name in public(holder):
            watch(holder, room, name)


def pytest_sessionfinish(session: pytest.Session) -> None:
    told = {
        "offered": [f"{room}.{name}" for room, holder in _HELD.items() for name in public(holder)],
        "called": sorted(CALLED),
        "endpoints": endpoints(),
        "selected": session.testscollected,
    }
    Path(os.environ["ROPEWALK_INVENTORY"]).write_text(json.dumps(told), encoding="utf-8")
