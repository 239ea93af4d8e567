"""`ropewalk batch FILE` scores a file's rows with the live release: the same worker, the same bits as the endpoint."""

from __future__ import annotations

import argparse
from pathlib import Path

from ropewalk.cli.output import Output
from ropewalk.errors import Conflict, NotFound

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
    from ropewalk.cli.frames import read_frame, write_frame
    from ropewalk.endpoints.batch import score
    from ropewalk.house import open_house
    from ropewalk.releases import release, traffic

    frame = read_frame(Path(options.rows))
    with open_house(options.project, create=False) as house:
        with house.site.db.read() as rows:
            name = traffic.endpoint_name(house.settings.model_name, options.environment)
            now = traffic.current(rows, name)
            wanted = options.release or (now.champion if now else "")
            if not wanted:
                raise NotFound("nothing-live", "Nothing is live yet.", where=f"endpoint {name}", fix="ropewalk ship")
            found = release.get(rows, wanted)
        with out.progress(f"scoring {frame.height:,} rows with {found.id}"):
            outputs = score(house.site, found.bundle, frame, environment=found.environment)
    taken = sorted(set(frame.columns) & set(outputs.columns))
    if taken:
        raise Conflict(
            "batch-columns-taken",
            "The file has columns with the names of the model's outputs.",
            where=options.rows,
            why=", ".join(taken),
            fix="rename them",
        )
    write_frame(frame.hstack(outputs), Path(options.into))
    out.line(f"{frame.height:,} rows scored by {found.id} into {options.into}")
    out.result({"rows": frame.height, "release": found.id, "bundle": found.bundle, "into": options.into})
    out.next("ropewalk status")
