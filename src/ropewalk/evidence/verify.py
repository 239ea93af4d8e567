"""Checks everything that was kept, offline: the chain, every blob, every segment, every row, every signature."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ropewalk.endpoints.segment import FOLDER
from ropewalk.errors import RopewalkError
from ropewalk.evidence.claims import differences
from ropewalk.ledger.chain import Entry, entries, first_break
from ropewalk.ledger.head import read_head
from ropewalk.ledger.sign import Checker, unseal
from ropewalk.models.manifest import read_manifest
from ropewalk.refs import digest_of_file
from ropewalk.releases.bundle import read_bundle
from ropewalk.site import Site
from ropewalk.store.database import Reader

KEY = Path("keys") / "ledger.pub"
_MENTION = re.compile(r'"([a-z_]+)":"(sha256:[0-9a-f]{64})"')
# Words of ledger bodies that hold a digest of something that is no file: a fingerprint, or a digest over rows.
NO_FILE = frozenset({("release.begun", "intent"), ("release.approve", "evidence"), ("release.reject", "evidence")})


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that does not hold.

    Attributes:
        what: the entry, blob, bundle, segment or row.
        why: what is wrong with it.
    """

    what: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a verification looked at and found.

    Attributes:
        entries: ledger entries read.
        blobs: blobs read.
        segments: captured segments read.
        bytes: bytes hashed.
        bundles: bundles whose parts and signature were checked.
        head: sequence number of the newest entry.
        findings: what does not hold, the first broken link first.
    """

    entries: int
    blobs: int
    segments: int
    bytes: int
    bundles: int
    head: int
    findings: tuple[Finding, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


def verify(site: Site, on_progress: Callable[[str, int, int], None] = lambda _what, _done, _of: None) -> Report:
    """Check all of it; needs no network and no private key.

    Args:
        site: the project.
        on_progress: told what is being looked at, how much of it is done and how much there is.
    """
    checker = Checker((site.hidden / KEY).read_text())
    findings: list[Finding] = []
    on_progress("ledger", 0, 1)
    with site.db.read() as rows:
        findings += _chain(site, rows, checker)
        written = list(entries(rows))
        digests = sorted(site.blobs.digests())
        blob_findings, hashed = _blobs(site, digests, on_progress)
        findings += blob_findings
        files = [(str(row["digest"]), str(row["path"])) for row in rows.rows("evidence.segment_files")]
        segment_findings, more = _segments(site, files, on_progress)
        findings += segment_findings
        findings += _mentions(written, {*digests, *(digest for digest, _ in files)})
        bundles = sorted({str(row["value"]) for row in rows.rows("evidence.bundles")})
        for digest in bundles:
            findings += _bundle(site, digest, checker)
        findings += [
            Finding(what=one.what, why=one.why + (f" (entry {one.seq})" if one.seq else ""))
            for one in differences(rows, written)
        ]
    return Report(
        entries=len(written),
        blobs=len(digests),
        segments=len(files),
        bytes=hashed + more,
        bundles=len(bundles),
        head=written[-1].seq if written else 0,
        findings=tuple(dict.fromkeys(findings)),
    )


def _chain(site: Site, rows: Reader, checker: Checker) -> Iterator[Finding]:
    try:
        head = read_head(site.hidden, checker)
    except RopewalkError as error:
        yield Finding(what="ledger.head", why=error.what)
        head = None
    broken = first_break(rows, checker, head)
    if broken is not None:
        yield Finding(what=f"ledger entry {broken.seq}", why=broken.why)


def _blobs(
    site: Site, digests: list[str], on_progress: Callable[[str, int, int], None]
) -> tuple[list[Finding], int]:
    findings: list[Finding] = []
    hashed = 0
    for done, digest in enumerate(digests):
        if done % 64 == 0:
            on_progress("blobs", done, len(digests))
        try:
            hashed += site.blobs.fetch(digest).stat().st_size
        except RopewalkError as error:
            findings.append(Finding(what=f"blob {digest}", why=error.why or error.what))
    return findings, hashed


def _segments(
    site: Site, files: list[tuple[str, str]], on_progress: Callable[[str, int, int], None]
) -> tuple[list[Finding], int]:
    findings: list[Finding] = []
    hashed = 0
    for done, (digest, path) in enumerate(files):
        if done % 64 == 0:
            on_progress("segments", done, len(files))
        file = site.hidden / FOLDER / path
        if not file.exists():
            findings.append(Finding(what=f"segment {path}", why="the file is gone"))
            continue
        hashed += file.stat().st_size
        if digest_of_file(file) != digest:
            findings.append(Finding(what=f"segment {path}", why=f"its sha256 is not {digest}"))
    return findings, hashed


def _mentions(written: list[Entry], known: set[str]) -> Iterator[Finding]:
    """Whatever an entry names by digest has to be there."""
    for entry in written:
        for word, digest in _MENTION.findall(entry.body):
            if digest not in known and (entry.kind, word) not in NO_FILE:
                yield Finding(what=f"blob {digest}", why=f"it is gone; entry {entry.seq} ({entry.kind}) names it")


def _bundle(site: Site, digest: str, checker: Checker) -> Iterator[Finding]:
    try:
        bundle = read_bundle(site.blobs, digest)
        model = read_manifest(site.blobs, bundle.manifest)
        _kind, statement = unseal(checker, site.blobs.get(bundle.provenance))
    except RopewalkError as error:
        yield Finding(what=f"bundle {digest}", why=f"{error.what} {error.where}".strip())
        return
    for name, part in (*bundle.parts(), *model.parts.items()):
        if not site.blobs.has(part):
            yield Finding(what=f"bundle {digest}", why=f"its {name} ({part}) is gone")
    subjects = {f"sha256:{item['digest']['sha256']}" for item in statement["subject"]}
    if not subjects & {part for _, part in bundle.parts()}:
        yield Finding(what=f"bundle {digest}", why="its provenance speaks of another bundle")
