"""Checks everything that was kept, offline: the chain, every blob, every segment, every row, every signature.

What it cannot see: who has the private key, or puts another key pair in its place and signs everything anew, can tell
another story that holds in itself. And who removes the head together with the newest entries and their rows leaves a
shorter story that holds. Against both there is only a copy elsewhere: the report names the key and the head to note.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from ropewalk.endpoints.making import reading
from ropewalk.errors import NotFound, RopewalkError
from ropewalk.evidence import contents
from ropewalk.evidence.batches import Batches
from ropewalk.evidence.claim import Difference
from ropewalk.evidence.claims import Claims
from ropewalk.evidence.finding import Finding, OnProgress
from ropewalk.evidence.holdings import Mentions, missing_parts
from ropewalk.evidence.logs import Logs
from ropewalk.evidence.standing import Standing
from ropewalk.ledger.chain import Entry, first_break
from ropewalk.ledger.head import FILE, read_head
from ropewalk.ledger.sign import Checker
from ropewalk.refs import is_digest
from ropewalk.site import Site
from ropewalk.store.database import Reader

T = TypeVar("T")
KEY = "keys/ledger.pub"
PARTS = frozenset({"ledger", "blobs", "segments", "bundles", "rows"})
_EVERY = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a verification looked at and found.

    Attributes:
        entries: ledger entries read.
        blobs: blobs read.
        segments: captured segments read.
        bytes: bytes hashed.
        bundles: bundles whose parts and signature were checked.
        head: number of the newest entry.
        head_hash: its hash; who keeps a copy elsewhere can tell this story from any other.
        written_head: number of the entry that `ledger.head` vouches for, 0 when there is no such file: entries after
            it could be cut off unseen.
        key: id of the public key that all signatures were checked with.
        findings: what does not hold, the first broken link of the ledger first.
    """

    entries: int
    blobs: int
    segments: int
    bytes: int
    bundles: int
    head: int
    head_hash: str
    written_head: int
    key: str
    findings: tuple[Finding, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


def verify(
    site: Site,
    on_progress: OnProgress = lambda _what, _done, _of: None,
    *,
    only: frozenset[str] = PARTS,
) -> Report:
    """Check all of it; needs no network and no private key.

    Args:
        site: the project.
        on_progress: told what is being looked at, how much of it is done and how much there is.
        only: which of `PARTS` to look at. What one part needs of another is read and not checked.

    Raises:
        Corrupt: there is no public key to check anything with.
    """
    checker, findings = checker_of(site)
    if "rows" in only:
        on_progress("database", 0, 1)
        findings += [Finding(what="database", why=one) for one in site.db.damage()]
    head, head_findings = _head(site, checker)  # before the rows: a head never runs ahead of the chain then
    findings += head_findings
    with reading(site), site.db.read(seconds_max=None) as rows:
        book = Book(site, rows, checker, on_progress)
        if only & {"ledger", "rows"}:
            findings += book.read(head)
        digests = sorted(digest for digest in site.blobs.digests() if is_digest(digest))
        files = _ask(findings, lambda: _files(rows))
        bundles = _ask(findings, lambda: sorted({str(row["bundle"]) for row in rows.rows("evidence.bundles")}))
        hashed = _bytes(site, digests, files, only, findings, on_progress)
        known = {*digests, *(digest for digest, _ in files)}
        for digest in bundles if "bundles" in only else ():
            findings += contents.check_bundle(site, digest, checker, known)
        if "rows" in only:
            findings += _ask(findings, lambda: list(book.disagreements()))
            findings += _ask(findings, lambda: list(book.missing(known)))
    return Report(
        entries=book.entries,
        blobs=len(digests),
        segments=len(files),
        bytes=hashed,
        bundles=len(bundles),
        head=book.last.seq if book.last else 0,
        head_hash=book.last.hash if book.last else "",
        written_head=head[0] if head else 0,
        key=checker.key_id,
        findings=tuple(dict.fromkeys(findings)),
    )


def _bytes(  # noqa: PLR0917 - what is looked at, and where what was found goes
    site: Site,
    digests: list[str],
    files: list[tuple[str, str]],
    only: frozenset[str],
    findings: list[Finding],
    on_progress: OnProgress,
) -> int:
    """Hash blobs and segments, note what does not hold and what does not belong there; return the bytes hashed."""
    hashed = 0
    if "blobs" in only:
        found, hashed = contents.check_blobs(site, digests, on_progress)
        findings += [*found, *contents.check_strays(site)]
    if "segments" in only:
        found, more = contents.check_segments(site, files, on_progress)
        hashed += more
        findings += [*found, *_ask(findings, lambda: list(contents.check_capture(site)))]
    return hashed


def checker_of(site: Site) -> tuple[Checker, list[Finding]]:
    """Return what checks signatures, and what is wrong with the file of the public key.

    Raises:
        Corrupt: there is neither a public key nor a private one to take it from.
    """
    try:
        text = (site.hidden / KEY).read_text(encoding="ascii")
    except (UnicodeDecodeError, OSError):
        text = ""
    try:
        own = site.signer.public
    except NotFound:  # the private key need not be here
        return Checker(text), []
    if text == f"{own}\n":
        return Checker(text), []
    why = "it is not the public half of ledger.key" if text else "it is gone, or cannot be read"
    return Checker(own), [Finding(what=KEY, why=why)]


def _head(site: Site, checker: Checker) -> tuple[tuple[int, str] | None, list[Finding]]:
    try:
        return read_head(site.hidden, checker), []
    except RopewalkError as error:
        return None, [Finding(what=FILE, why=error.why or error.what)]


class Book:
    """The ledger, read once: its chain is checked while its entries are heard.

    Args:
        site: the project.
        rows: a view of the rows.
        checker: the project's public key.
        on_progress: as for `verify`.
    """

    def __init__(self, site: Site, rows: Reader, checker: Checker, on_progress: OnProgress) -> None:
        self.entries = 0
        self.last: Entry | None = None
        self._site = site
        self._rows = rows
        self._checker = checker
        self._claims, self._batches, self._mentions = Claims(), Batches(), Mentions()
        self._logs, self._standing = Logs(), Standing()
        self._on_progress = on_progress

    def read(self, head: tuple[int, str] | None) -> list[Finding]:
        """Read it all; return its first broken link.

        Args:
            head: the head that was written down.
        """
        self._on_progress("ledger", 0, 0)
        broken = first_break(self._rows, self._checker, head, self._hear)
        return [] if broken is None else [Finding(what=f"ledger entry {broken.seq}", why=broken.why)]

    def _hear(self, entry: Entry) -> None:
        self.entries += 1
        self.last = entry
        self._claims.hear(entry)
        self._batches.hear(entry)
        self._mentions.hear(entry)
        self._logs.hear(entry)
        self._standing.hear(entry)
        if self.entries % _EVERY == 0:
            self._on_progress("ledger", self.entries, self.entries)

    def disagreements(self) -> Iterable[Finding]:
        """Yield every row that is not what the ledger says."""
        yield from map(_told, self._claims.differences(self._rows))
        yield from map(_told, self._batches.differences(self._rows))
        yield from map(_told, self._logs.differences(self._rows))
        yield from map(_told, self._standing.differences(self._rows))

    def missing(self, known: set[str]) -> Iterable[Finding]:
        """Yield every file that an entry or a row names and that is not among the known ones."""
        for digest, why in self._mentions.missing(known):
            yield Finding(what=f"blob {digest}", why=why)
        for digest, why in missing_parts(self._rows, self._site.blobs, known):
            yield Finding(what=f"blob {digest}", why=why)


def _told(one: Difference) -> Finding:
    return Finding(what=one.what, why=one.why + (f" (entry {one.seq})" if one.seq else ""))


def _files(rows: Reader) -> list[tuple[str, str]]:
    return [(str(row["digest"]), str(row["path"])) for row in rows.rows("evidence.segment_files")]


def _ask(findings: list[Finding], work: Callable[[], list[T]]) -> list[T]:
    """Return what a look at the rows gives; where the database itself is damaged, note that and go on."""
    try:
        return work()
    except RopewalkError as error:
        findings.append(Finding(what=f"rows of {error.where}", why=f"they cannot be read: {error.why or error.what}"))
        return []
