"""A prediction that a batch made: which row of what, and what stands in the file that came out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ropewalk.batches import batch as batches
from ropewalk.batches import folder as folders
from ropewalk.batches.batch import Batch
from ropewalk.batches.folder import WRITERS
from ropewalk.refs import digest_of_file
from ropewalk.site import Site

if TYPE_CHECKING:
    from pathlib import Path

    from ropewalk.store.database import Reader

SCANNERS = {".parquet": "scan_parquet", ".csv": "scan_csv", ".ndjson": "scan_ndjson", ".arrow": "scan_ipc"}
assert SCANNERS.keys() == WRITERS.keys()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """One row of a batch.

    Attributes:
        batch: which batch.
        row: number of the row in the input, from 1.
        cells: the row with its outputs as it came out; empty where the file does not say.
        why: why the file does not say; empty where it does.
    """

    batch: Batch
    row: int
    cells: dict[str, Any]
    why: str


def scored(site: Site, rows: Reader, prediction: str) -> Scored | None:
    """Return the row that a prediction's id says, or None when no batch made it."""
    found = batches.of_prediction(rows, prediction)
    if found is None:
        return None
    batch, number = found
    cells, why = _cells(folders.targets_of(site, batch).output, batch, prediction)
    return Scored(batch=batch, row=number + 1, cells=cells, why=why)


def _cells(path: Path, batch: Batch, prediction: str) -> tuple[dict[str, Any], str]:
    if batch.state != batches.DONE:
        return {}, f"the batch is {batch.state}"
    if not path.is_file():
        return {}, "the file that came out is not there any more"
    if digest_of_file(path) != batch.output:
        return {}, "the file that came out has been changed"
    table = _read(path, prediction)
    if not table:
        return {}, "the row has no answer: it was set aside"
    return {name: value for name, value in table[0].items() if name not in ("release", "bundle", "prediction_id")}, ""


def _read(path: Path, prediction: str) -> list[dict[str, Any]]:
    import polars as pl

    wanted = pl.col("prediction_id") == prediction
    if path.suffix == ".json":
        return pl.read_json(path).filter(wanted).to_dicts()
    return getattr(pl, SCANNERS[path.suffix])(path).filter(wanted).collect().to_dicts()
