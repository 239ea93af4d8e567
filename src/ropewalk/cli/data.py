"""`ropewalk data` lists snapshots, profiles one, shows or checks a contract."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from ropewalk.cli.output import Output
from ropewalk.cli.parse import count
from ropewalk.errors import NotFound

if TYPE_CHECKING:
    import polars as pl

    from ropewalk.house import House

EXAMPLE = """
ropewalk data                                  # snapshots, newest first
ropewalk data profile sha256:... --html page.html
ropewalk data contract rows.parquet > contract.toml
ropewalk data check rows.csv --contract contract.toml
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to do and with what."""
    parser.add_argument(
        "action", nargs="?", default="list", choices=("list", "profile", "contract", "check", "lineage")
    )
    parser.add_argument("rows", nargs="?", default="", metavar="ROWS", help="a snapshot's digest, or a file")
    parser.add_argument("--contract", default="", metavar="FILE", help="TOML or JSON, for check")
    parser.add_argument("--target", default="", metavar="COLUMN", help="the column to predict, for contract")
    parser.add_argument("--html", default="", metavar="FILE", help="write the profile as a page, for profile")
    parser.add_argument("--count", type=count, default=20, help="how many, for list")


def handle(options: argparse.Namespace, out: Output) -> int:
    """Do it; check exits with 1 when a row breaks the contract."""
    from ropewalk.house import open_house

    if options.action in ("list", "lineage"):
        with open_house(options.project, create=False) as house:
            return _list(house, options.count, out) if options.action == "list" else _lineage(house, options.rows, out)
    frame = _frame(options)
    if options.action == "profile":
        return _profile(frame, options, out)
    if options.action == "contract":
        return _contract(frame, options.target, out)
    return _check(frame, options.contract, options.rows, out)


def _list(house: House, shown: int, out: Output) -> int:
    from ropewalk.data import snapshot
    from ropewalk.runs import run as runs

    with house.site.db.read() as rows:
        found = snapshot.newest(rows, shown)
        names = {one.run_id: runs.get(rows, one.run_id).name for one in found}
    if found:
        out.table(
            ("run", "step", "rows", "columns", "bytes", "digest"),
            [(names[one.run_id], one.node, one.rows, one.columns, one.bytes, one.digest) for one in found],
        )
        newest = found[0].digest
        out.next(f"ropewalk data profile {newest}", f"ropewalk data lineage {newest}")
    else:
        out.line("no snapshot yet: every frame that a step returns becomes one")
        out.next("ropewalk run")
    out.result([{"run": names[one.run_id], "step": one.node, "rows": one.rows, "digest": one.digest} for one in found])
    return 0


def _lineage(house: House, digest: str, out: Output) -> int:
    from ropewalk.data import snapshot

    if not digest:
        raise _nothing_named("ropewalk data lineage")
    with house.site.db.read() as rows:
        found = snapshot.get(rows, digest)
        edges = snapshot.lineage(rows, found.digest)
    if edges:
        out.table(("made", "from"), [(edge.digest, edge.parent) for edge in edges])
    else:
        out.line(f"step {found.node} made it from no other frame: the line of data begins here")
    out.result([{"made": edge.digest, "from": edge.parent} for edge in edges])
    out.next(f"ropewalk data profile {found.digest}")
    return 0


def _frame(options: argparse.Namespace) -> pl.DataFrame:
    """Return the rows of a snapshot, or of a file, for which no project is needed."""
    from ropewalk.cli.frames import read_frame
    from ropewalk.data import frames, snapshot
    from ropewalk.house import open_house

    text = str(options.rows)
    if text.startswith("sha256:"):
        with open_house(options.project, create=False) as house:
            with house.site.db.read() as rows:
                found = snapshot.get(rows, text)
            return frames.read(house.site.blobs, found.digest)
    if not text:
        raise _nothing_named(f"ropewalk data {options.action}")
    return read_frame(Path(text))


def _nothing_named(where: str) -> NotFound:
    return NotFound(
        "data-file-not-found",
        "There are no rows to look at.",
        where=where,
        why="wanted a snapshot's digest, or a file",
        fix="ropewalk data",
    )


def _profile(frame: pl.DataFrame, options: argparse.Namespace, out: Output) -> int:
    import msgspec

    from ropewalk.data.page import to_html
    from ropewalk.data.profile import profile

    found = profile(frame)
    out.table(
        ("column", "type", "nulls", "distinct", "min", "mean", "max"),
        [(one.name, one.type, one.nulls, one.distinct, one.min, one.mean, one.max) for one in found.columns],
    )
    if options.html:
        Path(options.html).write_text(to_html(found, options.rows), encoding="utf-8")
        out.line(f"wrote {options.html}")
    out.result(msgspec.to_builtins(found))
    out.next(f"ropewalk data contract {shlex.quote(options.rows)} > contract.toml")
    return 0


def _contract(frame: pl.DataFrame, target: str, out: Output) -> int:
    import msgspec

    from ropewalk.data.contract import to_toml
    from ropewalk.data.infer import infer

    found = infer(frame, target=target or None)
    out.line(to_toml(found).rstrip("\n"))
    out.result(msgspec.to_builtins(found))
    return 0


def _check(frame: pl.DataFrame, name: str, rows: str, out: Output) -> int:
    from ropewalk.data.check import check, describe
    from ropewalk.data.contract import from_json, from_toml

    path = Path(name)
    if not name or not path.is_file():
        raise NotFound(
            "data-file-not-found",
            "There is no such contract.",
            where=name or "ropewalk data check",
            why="check needs --contract FILE",
            fix=f"ropewalk data contract {shlex.quote(rows)} > contract.toml",
        )
    text = path.read_text(encoding="utf-8")
    found = check(from_json(text) if path.suffix == ".json" else from_toml(text), frame)
    for violation in found.violations:
        out.line(f"{violation.level}: {describe(violation)}", style="red" if violation.level == "error" else "")
    told = f"{len(found.errors)} rules broken, {len(found.warnings)} warnings" if found.violations else "all fit"
    out.line(f"{frame.height:,} rows: {told}")
    out.result(found.record())
    out.next(f"ropewalk data profile {shlex.quote(rows)}")
    return 0 if found.ok else 1
