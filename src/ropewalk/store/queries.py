"""Named SQL: `runs.get` is the block `-- name: get` of `sql/runs.sql`."""

from __future__ import annotations

from functools import cache
from pathlib import Path

MARK = "-- name:"


@cache
def load_queries(dialect: str) -> dict[str, str]:
    """Return every named query of a dialect; a `NAME.DIALECT.sql` file overrides single queries of `NAME.sql`.

    Args:
        dialect: `sqlite` or `postgres`.
    """
    folder = Path(__file__).parent / "sql"
    found: dict[str, str] = {}
    plain: list[Path] = []
    special: list[Path] = []
    for file in sorted(folder.iterdir(), key=lambda item: item.name):
        stem, _, ending = file.name.partition(".")
        if ending == "sql" and stem:
            plain.append(file)
        elif ending == f"{dialect}.sql":
            special.append(file)
    for file in plain + special:
        room = file.name.partition(".")[0]
        for name, sql in _blocks(file.read_text(encoding="utf-8")):
            found[f"{room}.{name}"] = sql
    return found


def _blocks(text: str) -> list[tuple[str, str]]:
    blocks: list[tuple[str, str]] = []
    name = ""
    lines: list[str] = []
    for line in [*text.splitlines(), f"{MARK} "]:
        if not line.startswith(MARK):
            lines.append(line)
            continue
        if name:
            blocks.append((name, "\n".join(lines).strip().removesuffix(";")))
        name, lines = line.removeprefix(MARK).strip(), []
    return blocks
