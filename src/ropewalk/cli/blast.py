"""`ropewalk blast-radius RELEASE` says every prediction that a release made, for whom, from when until when."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ropewalk.cli.output import Output
from ropewalk.errors import Invalid

if TYPE_CHECKING:
    import polars as pl

EXAMPLE = """
ropewalk blast-radius flights/3
ropewalk blast-radius flights/3 --out told.parquet      # a row for each prediction, with inputs and outputs
ropewalk blast-radius flights/3 --out told.jsonl
ropewalk blast-radius flights/3 --keys 100 --json
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the release and where the rows go."""
    from ropewalk.cli.parse import count

    parser.add_argument("release", metavar="RELEASE", help="such as flights/3; ropewalk status names them")
    parser.add_argument(
        "--out", type=Path, default=None, metavar="FILE", help="write every prediction: .parquet, .jsonl"
    )
    parser.add_argument("--keys", type=count, default=20, help="how many keys to name, those asked for most first")


def handle(options: argparse.Namespace, out: Output) -> None:
    """Print the sums; write the rows where they are wanted."""
    from ropewalk.clock import iso
    from ropewalk.evidence.blast import radius, tables
    from ropewalk.house import open_house

    path: Path | None = options.out
    write = None if path is None else _writer(path)
    with open_house(options.project, create=False) as house:
        found = radius(house.site, options.release, callers=options.keys)
        if write is not None and path is not None:
            written = write(path, tables(house.site, options.release, None))
            out.line(f"{written:,} predictions are in {path}")
            out.line()
    spoken = [f"{count:,} {word}" for word, count in found.statuses.items()]
    out.fields(
        {
            "release": found.release,
            "predictions": f"{found.predictions:,}" + (f" ({', '.join(spoken)})" if spoken else ""),
            "for": f"{found.keys:,} keys, and {found.without_key:,} predictions without one",
            "from": "" if found.first_us is None else iso(found.first_us),
            "until": "" if found.last_us is None else iso(found.last_us),
            "shadowed": f"{found.shadowed:,} more rows that nobody got",
        }
    )
    out.line()
    out.table(
        ("endpoint", "as", "share", "from", "until"),
        [
            (one.endpoint, one.role, f"{one.share:.0%}", iso(one.since_us), iso(one.until_us) if one.until_us else "")
            for one in found.spans
        ],
        title="when it had traffic",
    )
    if found.callers:
        out.line()
        out.table(
            ("key", "predictions", "first", "last"),
            [(one.key, one.predictions, iso(one.first_us), iso(one.last_us)) for one in found.callers],
            title="for whom" if len(found.callers) == found.keys else f"for whom: {len(found.callers)} of {found.keys}",
        )
    out.result({**asdict(found), "out": None if path is None else str(path)})
    out.next(f"ropewalk blast-radius {found.release} --out told.parquet", "ropewalk rollback", "ropewalk trace ID")


Write = Callable[[Path, "Iterator[pl.DataFrame]"], int]


def _writer(path: Path) -> Write:
    """Return what writes a file of this ending.

    Raises:
        Invalid: it is none that is written.
    """
    found: Write | None = {".parquet": _parquet, ".jsonl": _lines}.get(path.suffix)
    if found is None:
        raise Invalid(
            "output-unknown",
            "This kind of file is not written.",
            where=str(path),
            why="the name ends in .parquet or .jsonl",
            fix="ropewalk blast-radius RELEASE --out told.parquet",
        )
    return found


def _lines(path: Path, found: Iterator[pl.DataFrame]) -> int:
    rows = 0
    half = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with half.open("w", encoding="utf-8") as file:
        for table in found:
            for row in table.iter_rows(named=True):
                file.write(json.dumps(row, default=str) + "\n")
            rows += table.height
    half.replace(path)
    return rows


def _parquet(path: Path, found: Iterator[pl.DataFrame]) -> int:
    """Write a file of all tables; each lies in a file of its own first, so that memory stays that of the largest."""
    import tempfile

    import polars as pl

    rows = 0
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".blast-") as folder:
        pieces: list[Path] = []
        for number, table in enumerate(found):
            pieces.append(Path(folder) / f"{number}.parquet")
            table.write_parquet(pieces[-1])
            rows += table.height
        half = Path(folder) / "whole"
        if pieces:
            pl.concat([pl.scan_parquet(one) for one in pieces], how="diagonal_relaxed").sink_parquet(half)
        else:
            pl.DataFrame(schema={"id": pl.String}).write_parquet(half)
        half.replace(path)
    return rows
