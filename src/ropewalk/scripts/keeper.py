"""The process that makes a model version of what a script left: it loads it, tries it, and writes it with its contract.

A process of its own because loading a model runs the model's code, which must not happen beside the keys.
"""

from __future__ import annotations

import argparse
import json
import pickle
import sys
import warnings
from pathlib import Path
from typing import Any

from ropewalk.errors import RopewalkError
from ropewalk.refs import is_name

KEPT = "kept.json"
TRIED_ROWS = 200


def main(argv: list[str] | None = None) -> int:
    """Keep the model that a note describes; the answer goes into `kept.json` beside it (internal)."""
    parser = argparse.ArgumentParser()
    for name in ("folder", "blobs", "name", "path"):
        parser.add_argument(f"--{name}", required=True)
    given = parser.parse_args(argv)
    folder = Path(given.folder)
    if given.path:
        sys.path.append(given.path)  # modules that lie beside the script
    note = json.loads(sys.stdin.read())
    warnings.simplefilter("ignore")
    try:
        found = _keep(folder, given.blobs, given.name, note)
    except Exception as error:  # noqa: BLE001 - whatever a model does when it is loaded, the run is kept all the same
        found = {"why": why_of(error)}
    (folder / KEPT).write_text(json.dumps(found))
    return 0


def why_of(error: Exception) -> str:
    """Return in one sentence why a model cannot be served."""
    if isinstance(error, RopewalkError):
        fix = f" ({error.fix})" if error.fix else ""
        return f"{error.what.rstrip('.')}: {error.why or error.where}{fix}"
    text = " ".join(str(error).split())[:300]
    if text.startswith("Can't get attribute") and ("__main__" in text or __file__ in text):
        return f"it is made of things that the script itself defines; put them into a module beside it ({text})"
    return f"{type(error).__name__}: {text}"


def _keep(folder: Path, blobs: str, name: str, note: dict[str, Any]) -> dict[str, Any]:
    from ropewalk.blobs.place import open_at

    assert is_name(name), name
    bucket = open_at(blobs)
    if "pickle" not in note:
        from ropewalk.models.networks import keep_network

        stem = Path(note["sample"]).stem
        facts = json.loads((folder / note["sample"]).read_bytes())
        return keep_network(bucket, name, (folder / f"{stem}.onnx").read_bytes(), facts)
    from ropewalk.models import log
    from ropewalk.models.signature import shape_of
    from ropewalk.scripts import tables

    model = pickle.loads((folder / note["pickle"]).read_bytes())  # noqa: S301 - the user's own, written a moment ago
    rows = pickle.loads((folder / note["sample"]).read_bytes())  # noqa: S301
    train, target = tables.table_of(model, rows["x"], rows["y"], note["names"])
    held = None
    if rows["held_x"] is not None:
        held, _ = tables.table_of(model, rows["held_x"], rows["held_y"], note["names"])
    shape = shape_of(model, train, target)
    log.check_answers(model, shape)
    metrics = {} if held is None else tables.measured(model, rows["held_x"], rows["held_y"], shape)
    tables.require_same(model, rows["x"], train, shape)
    made = log.build(bucket, model, name, shape=shape, train=train, holdout=held, target=target)
    return {
        "manifest": made.manifest,
        "metrics": metrics,
        "held": 0 if held is None else len(held),
    }


if __name__ == "__main__":
    sys.exit(main())
