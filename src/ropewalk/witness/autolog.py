"""Turns MLflow's autologging on for a script that does not use MLflow itself, where it is installed."""

from __future__ import annotations

import logging
import os
import sys
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from ropewalk.witness.imports import Watch
from ropewalk.witness.notes import Notes

AUTOLOG = "ROPEWALK_WITNESS_AUTOLOG"
LIBRARIES = ("sklearn", "xgboost", "lightgbm", "lightning", "pytorch_lightning")


def watch(imports: Watch, notes: Notes) -> None:
    """Wait for the first library that MLflow logs by itself; a script that imports none of them pays nothing."""
    # A helper process of the script's shall not begin runs of its own.
    if os.environ.pop(AUTOLOG, "") != "1" or find_spec("mlflow") is None or find_spec("flask") is None:
        return
    for library in LIBRARIES:
        imports.after(library, partial(_turn_on, notes=notes))


def _turn_on(_library: ModuleType, notes: Notes) -> None:
    if "autologged" in notes.facts or "mlflow" in sys.modules:
        return
    notes.facts["autologged"] = True
    mlflow: Any = import_module("mlflow")
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    mlflow.autolog(log_models=False, log_datasets=False, log_input_examples=False, silent=True)
