"""`ropewalk batch FILE` scores a file's rows with the live release: the same worker, the same bits as the endpoint."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from ropewalk.cli.output import Output
from ropewalk.errors import Conflict, NotFound

if TYPE_CHECKING:
    from ropewalk.site import Site

EXAMPLE = """
ropewalk batch customers.parquet --into scored.parquet
ropewalk batch customers.csv --into scored.csv --release churn/3
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the files and the release."""
    parser.add_argument("rows", metavar="FILE", help="Parquet, CSV or NDJSON with the model's columns")
    parser.add_argument("--into", required=True, metavar="FILE", help="the rows with outputs beside them")
    parser.add_argument("--release", default="", metavar="RELEASE", help="the champion when left out")
    parser.add_argument("--environment", default="production", help="whose champion")


def handle(options: argparse.Namespace, out: Output) -> None:
    """Score all rows in a confined worker, then write them under a temporary name and rename.

    Raises:
        NotFound: there is no such file or release, or nothing is live.
        Conflict: an input column has the name of an output.
    """
    from ropewalk.cli.frames import read_frame, require_writable, write_frame
    from ropewalk.endpoints.batch import score
    from ropewalk.house import open_house
    from ropewalk.releases import release, traffic

    into = Path(options.into)
    require_writable(into)
    frame = read_frame(Path(options.rows))
    with open_house(options.project, create=False) as house:
        with house.site.db.read() as rows:
            name = traffic.endpoint_name(house.settings.model_name, options.environment)
            now = traffic.current(rows, name)
            wanted = options.release or (now.champion if now else "")
            if not wanted:
                raise NotFound(
                    "nothing-live",
                    "Nothing is live yet.",
                    where=f"endpoint {name}",
                    why="rows are scored by the release that answers there, or by the one that --release names",
                    fix="ropewalk ship",
                )
            found = release.get(rows, wanted)
        _columns_free(house.site, found.bundle, frame.columns, options.rows)
        with out.progress(f"scoring {frame.height:,} rows with {found.id}"):
            outputs = score(
                house.site,
                found.bundle,
                frame,
                environment=found.environment,
                allowed=house.settings.scan.globals,
            )
    write_frame(frame.hstack(outputs), into)
    out.line(f"{frame.height:,} rows scored by {found.id} into {options.into}")
    out.result({"rows": frame.height, "release": found.id, "bundle": found.bundle, "into": options.into})
    out.next(f"ropewalk data profile {shlex.quote(options.into)}", "ropewalk status")


def _columns_free(site: Site, bundle: str, columns: list[str], file: str) -> None:
    """Pass only when no column would be written twice; known before anything is scored."""
    from ropewalk.models.manifest import read_manifest
    from ropewalk.releases.bundle import read_bundle

    outputs = read_manifest(site.blobs, read_bundle(site.blobs, bundle).manifest).signature.outputs
    taken = sorted(set(columns) & {one.name for one in outputs})
    if taken:
        raise Conflict(
            "batch-columns-taken",
            "The file has columns with the names of the model's outputs.",
            where=file,
            why=f"both have {', '.join(taken)}",
            fix=f"rename {', '.join(taken)} in {file}, or take the columns out",
        )
