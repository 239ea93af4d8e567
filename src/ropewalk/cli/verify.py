"""`ropewalk verify` checks everything that was kept, offline, and names the first broken link."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from ropewalk.cli.output import Output

EXAMPLE = """
ropewalk verify
ropewalk verify --json
"""
SHOWN = 20


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing: it checks all."""
    del parser


def handle(options: argparse.Namespace, out: Output) -> int:
    """Check ledger, blobs, bundles, segments and rows; exit status 1 when something does not hold."""
    from ropewalk.evidence.verify import verify
    from ropewalk.house import open_house

    with open_house(options.project, create=False) as house, out.progress("checking every byte that was kept") as bar:
        report = verify(house.site, lambda what, done, of: bar.note(f"{what} {done}/{of}"))
    for finding in report.findings[:SHOWN]:
        out.line(f"BROKEN  {finding.what}: {finding.why}", style="red")
    if len(report.findings) > SHOWN:
        out.line(f"... and {len(report.findings) - SHOWN} more, see --json")
    looked = (
        f"{report.entries:,} ledger entries, {report.blobs:,} blobs, {report.segments:,} captured segments, "
        f"{report.bundles:,} bundles, {report.bytes / 1e6:,.1f} MB"
    )
    out.line(f"{'everything holds' if report.holds else f'{len(report.findings)} things do not hold'}: {looked}")
    if report.entries:
        out.line(f"newest entry {report.head}  {report.head_hash}", style="dim")
        out.line(f"signed by     {report.key}", style="dim")
        out.line("kept elsewhere, these two lines tell this story from any other one", style="dim")
    if report.written_head < report.head:
        last = f"ends at entry {report.written_head}" if report.written_head else "is not there"
        out.line(f"ledger.head {last}: newer entries could have been cut off unseen", style="yellow")
    out.result({"holds": report.holds, **asdict(report)})
    if report.holds:
        out.next("ropewalk trace PREDICTION", "ropewalk replay PREDICTION")
    else:
        out.next("restore what is named above from a backup, then: ropewalk verify")
    return 0 if report.holds else 1
