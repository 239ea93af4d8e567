"""What Hydra composed for each job of a script, and where the job worked."""

from __future__ import annotations

import functools
import os
import sys
import time
from types import ModuleType
from typing import Any, cast

from ropewalk.witness.notes import Notes, said

JOBS_MAX = 1_000
VALUES_MAX = 500
_LETTERS_MAX = 500


def watch(module: ModuleType, notes: Notes) -> None:
    """Note each job's composed configuration, overrides, folder and end.

    Args:
        module: hydra.core.utils.
        notes: where they go.
    """
    run_job: Any = module.__dict__["run_job"]

    @functools.wraps(run_job)
    def watched(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - Hydra's own signature
        began = time.monotonic()
        done = run_job(*args, **kwargs)
        try:
            _note(done, notes, time.monotonic() - began)
        except Exception as error:  # noqa: BLE001 - a Hydra that looks otherwise than we think is used as it is
            notes.trouble("Hydra's job", error)
        return done

    module.__dict__["run_job"] = watched


def _note(done: Any, notes: Notes, seconds: float) -> None:  # noqa: ANN401 - Hydra's JobReturn
    omegaconf: Any = sys.modules["omegaconf"]  # the script's own, without which there is no Hydra

    jobs: list[dict[str, Any]] = notes.facts.setdefault("jobs", [])
    if len(jobs) >= JOBS_MAX:
        return
    value: Any = done._return_value  # noqa: SLF001 - `return_value` raises what the job raised
    failed = isinstance(value, BaseException)
    config = omegaconf.OmegaConf
    jobs.append(
        {
            "config": dict(list(_flat("", config.to_container(done.cfg, resolve=False)).items())[:VALUES_MAX]),
            "yaml": config.to_yaml(done.cfg),
            "overrides": [str(one) for one in done.overrides or ()],
            "folder": os.path.abspath(str(done.hydra_cfg.hydra.runtime.output_dir)),
            "several": str(done.hydra_cfg.hydra.mode).endswith("MULTIRUN"),
            "error": said(value) if failed else "",
            "seconds": seconds,
            "value": float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None,
        }
    )


def _flat(name: str, value: object) -> dict[str, str]:
    """Return a configuration's values by their dotted names."""
    inner: dict[object, object] = cast("dict[object, object]", value) if isinstance(value, dict) else {}
    if not inner:
        return {name: f"{value}"[:_LETTERS_MAX]} if name else {}
    found: dict[str, str] = {}
    for key, one in inner.items():
        found |= _flat(f"{name}.{key}" if name else str(key), one)
    return found
