"""`ropewalk gc` removes what nothing needs any more; it only says what would go until it is told `--yes`."""

from __future__ import annotations

import argparse
import re
from dataclasses import asdict

from ropewalk.cli.output import Output

EXAMPLE = """
ropewalk gc                       # says what would go; removes nothing
ropewalk gc --yes                 # removes it
ropewalk gc --older-than 7d --grace 2h --yes
"""
SHOWN = 20
_SPAN = re.compile(r"(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,9})s)?")
_SECONDS = (86_400, 3600, 60, 1)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add how old a thing must be, and the word that makes it happen."""
    parser.add_argument("--yes", action="store_true", help="remove it; without, only say what would go")
    parser.add_argument(
        "--older-than",
        default="30d",
        metavar="TIME",
        help="runs and experiments that were deleted longer ago than this go for good: 30d, 12h, 2d8h5m; 0s for all",
    )
    parser.add_argument(
        "--grace", default="24h", metavar="TIME", help="bytes that came later than this always stay; 1h at least"
    )


def handle(options: argparse.Namespace, out: Output) -> None:
    """Look or remove, and say what it comes to."""
    older, grace = seconds_of("--older-than", options.older_than), seconds_of("--grace", options.grace)
    from ropewalk.blobs.unfinished import uploads_of
    from ropewalk.evidence.gc import collect
    from ropewalk.house import open_house

    with open_house(options.project, create=False) as house, out.progress("looking for what nothing needs") as bar:
        found = collect(
            house.site,
            remove=options.yes,
            grace_seconds=grace,
            older_seconds=older,
            on_progress=lambda what, done, of: bar.note(f"{what} {done}/{of}"),
        )
        address = house.site.blobs.address
        elsewhere = "://" in address and uploads_of(address.partition(" ")[0]) is None
    word = "removed" if found.removed else "would remove"
    for one in found.purged[:SHOWN]:
        out.line(f"{word} {one.what} {one.id}  {one.name}")
    if len(found.purged) > SHOWN:
        out.line(f"... and {len(found.purged) - SHOWN} more, see --json")
    for one in found.kept[:SHOWN]:
        out.line(f"keeps {one.what} {one.id}  {one.name}: {one.kept}", style="dim")
    if found.uploads:
        out.line(f"{word} {found.uploads} uploads that began more than a day ago")
    out.line(f"{word} {found.blobs:,} blob{'' if found.blobs == 1 else 's'}, {found.bytes / 1e6:,.1f} MB")
    out.line(f"{found.needed:,} are needed, {found.young:,} that nothing needs are too young to go", style="dim")
    if elsewhere:
        out.line(
            "parts of uploads that were killed are the bucket's own to remove: give it a lifecycle rule", style="dim"
        )
        out.line("that aborts incomplete multipart uploads after a day (docs/reliability.md)", style="dim")
    out.result(asdict(found))
    out.next(*(("ropewalk verify",) if found.removed else ("ropewalk gc --yes",)))


def seconds_of(name: str, text: str) -> int:
    """Return a span of time such as `2d8h` in seconds.

    Raises:
        Invalid: it is none.
    """
    found = _SPAN.fullmatch(text)
    if not text or found is None:
        from ropewalk.errors import Invalid

        raise Invalid(
            "usage",
            "The command line is not understood.",
            where=name,
            why=f"found {text[:40]!r}, wanted a time such as 30d, 12h or 2d8h5m",
            fix=f"ropewalk gc {name} 30d",
        )
    return sum(int(count) * unit for count, unit in zip(found.groups(default="0"), _SECONDS, strict=True))
