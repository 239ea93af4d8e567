"""What the gateway has to know of a release to answer for it: its model's shape, contract and a real row."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isnan
from pathlib import Path
from typing import Any

from ropewalk.blobs.bucket import Bucket
from ropewalk.clock import iso
from ropewalk.data.contract import Contract, from_json
from ropewalk.data.rows import Problem, row_checker
from ropewalk.endpoints.columnar import Columnar, as_floats, compiled
from ropewalk.errors import RopewalkError
from ropewalk.models.manifest import Field, Output, files_of, read_manifest
from ropewalk.refs import digest_of_file
from ropewalk.releases.bundle import Bundle, read_bundle
from ropewalk.source.snapshot import materialize
from ropewalk.source.snapshot import read_manifest as read_files

EXAMPLE_ROWS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One release as the gateway sees it.

    Attributes:
        release: id such as `flights/3`.
        bundle: digest of its bundle.
        manifest: digest of the model's manifest.
        model: the model's name.
        version: the model's version.
        inputs: columns that the model is given, in its own order.
        outputs: columns that it answers.
        contract: what a row must be.
        check: the contract compiled for one row.
        example: a real row of the golden rows, as JSON would say it.
        allow_pickle: whether the environment lets models of the pickle family load.
        code: digest of the code snapshot that the model may import from.
        broken: why it cannot be served at all; then everything else is the champion's.
        columnar: the contract compiled for many rows at once; None where only `check` will do.
    """

    release: str
    bundle: str
    manifest: str
    model: str
    version: int
    inputs: tuple[Field, ...]
    outputs: tuple[Output, ...]
    contract: Contract
    check: Callable[[Mapping[str, object]], tuple[Problem, ...]]
    example: dict[str, Any]
    allow_pickle: bool
    code: str
    broken: RopewalkError | None = None
    columnar: Columnar | None = None

    def load(self, blobs: Bucket, code: Path, allowed: tuple[str, ...]) -> dict[str, object]:
        """Return the worker's load message.

        Args:
            blobs: where the model's files are.
            code: folder with the code snapshot laid out.
            allowed: globals that the model may import besides the defaults.
        """
        return {
            "blobs": str(blobs.nearby(files_of(blobs, self.manifest)).resolve()),
            "manifest": self.manifest,
            "code_folder": str(code.resolve()),
            "engine": "auto",
            "allow_pickle": self.allow_pickle,
            "allowed": list(allowed),
        }


def read_served(
    blobs: Bucket, release: str, bundle_digest: str, environment: str, *, example: dict[str, Any] | None = None
) -> Served:
    """Return what a bundle serves, every part of it verified by its digest.

    Args:
        blobs: where its parts are.
        release: id by which it answers.
        bundle_digest: which.
        environment: whose configuration counts.
        example: a real row; one of the golden rows when None.

    Raises:
        NotFound: a blob is missing.
        Corrupt: a blob does not hold what was recorded.
    """
    bundle: Bundle = read_bundle(blobs, bundle_digest)
    manifest = read_manifest(blobs, bundle.manifest)
    contract = from_json(blobs.get(bundle.contract)).without_target()
    if example is None:
        names = [column.name for column in contract.columns]
        example = example_of(blobs, manifest.parts.get("golden.parquet", ""), names)
    return Served(
        release=release,
        bundle=bundle_digest,
        manifest=bundle.manifest,
        model=bundle.model,
        version=bundle.version,
        inputs=manifest.signature.inputs,
        outputs=manifest.signature.outputs,
        contract=contract,
        check=row_checker(contract),
        columnar=compiled(contract, manifest.signature.inputs),
        example=example,
        allow_pickle=bundle.environment(environment).allow_pickle,
        code=bundle.code,
    )


def code_folder(blobs: Bucket, hidden: Path, digest: str) -> Path:
    """Return a folder with the code snapshot laid out: one that somebody has edited, or added to, is written anew."""
    into = hidden / "code" / digest.removeprefix("sha256:")[:12]
    if into.is_dir() and not _is_whole(blobs, digest, into):
        shutil.rmtree(into)
    materialize(blobs, digest, into)
    return into


def _is_whole(blobs: Bucket, digest: str, folder: Path) -> bool:
    wanted = {path: file for path, file, _ in read_files(blobs, digest)}
    there = {path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()}
    if {path.relative_to(folder).as_posix() for path in there} != set(wanted):
        return False
    return all(
        not path.is_symlink() and digest_of_file(path) == wanted[path.relative_to(folder).as_posix()] for path in there
    )


def example_of(blobs: Bucket, golden: str, names: list[str]) -> dict[str, Any]:
    """Return the golden row with the fewest empty values; nothing where there are none.

    Args:
        blobs: where the rows are.
        golden: digest of the golden rows; empty for none.
        names: the columns that are wanted.
    """
    if not golden:
        return {}
    import polars as pl

    table = pl.read_parquet(blobs.fetch(golden), n_rows=EXAMPLE_ROWS)
    rows = table.select([name for name in names if name in table.columns]).to_dicts()
    plain = [{name: _plain(value) for name, value in row.items()} for row in rows]
    return min(plain, key=lambda row: sum(value is None for value in row.values())) if plain else {}


def _plain(value: Any) -> Any:  # noqa: ANN401 - a cell of any type
    if isinstance(value, datetime):
        return iso(int(value.timestamp() * 1_000_000))
    return None if isinstance(value, float) and isnan(value) else value


def columns_of(served: Served, rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Return checked rows as the model's columns; whole numbers become floats where the model wants floats."""
    if len(rows) == 1:
        get = rows[0].get
        columns = {field.name: [get(field.name)] for field in served.inputs}
    else:
        columns = {field.name: [row.get(field.name) for row in rows] for field in served.inputs}
    for field in served.inputs:
        if field.type == "float":
            values = columns[field.name]
            # One value is looked at sooner than a set of types is made.
            if len(values) > 1 or values[0].__class__ is not float:
                columns[field.name] = as_floats(values)
    return columns
