"""The bytes that were kept: every blob, every captured segment, every bundle with its signed provenance."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from ropewalk.endpoints.journal import ENDING, read_journal
from ropewalk.endpoints.making import NOTE
from ropewalk.endpoints.segment import FOLDER
from ropewalk.errors import RopewalkError
from ropewalk.evidence.finding import Finding, OnProgress
from ropewalk.ledger.sign import Checker, unseal
from ropewalk.models.manifest import read_manifest
from ropewalk.refs import PREFIX, digest_of_file
from ropewalk.releases.bundle import Bundle, read_bundle
from ropewalk.releases.provenance import PAYLOAD_TYPE
from ropewalk.site import Site
from ropewalk.source import snapshot

BLOBS = "blobs"
_INCOMING = "incoming"
_SHELF = re.compile(r"[0-9a-f]{2}")
_REST = re.compile(r"[0-9a-f]{62}")
_EVERY = 64


def check_blobs(site: Site, digests: list[str], on_progress: OnProgress) -> tuple[list[Finding], int]:
    """Hash blobs; return what does not hold and how many bytes were hashed."""
    findings: list[Finding] = []
    hashed = 0
    for done, digest in enumerate(digests):
        if done % _EVERY == 0:
            on_progress("blobs", done, len(digests))
        try:
            hashed += site.blobs.fetch(digest).stat().st_size
        except RopewalkError as error:
            findings.append(Finding(what=f"blob {digest}", why=error.why or error.what))
        except OSError as error:
            findings.append(Finding(what=f"blob {digest}", why=f"it cannot be read: {error.strerror}"))
    return findings, hashed


def check_strays(site: Site) -> Iterator[Finding]:
    """Name what lies in the folder of blobs and is none; what a killed writer left in `incoming` is nobody's."""
    root = site.hidden / BLOBS
    for item in sorted(root.iterdir()) if root.is_dir() else ():
        if item.name == _INCOMING and item.is_dir():
            continue
        if not _SHELF.fullmatch(item.name) or not item.is_dir() or item.is_symlink():
            yield Finding(what=f"file {BLOBS}/{item.name}", why="it is no blob and nothing of ours")
            continue
        for file in sorted(item.iterdir()):
            if not _REST.fullmatch(file.name) or not file.is_file() or file.is_symlink():
                yield Finding(what=f"file {BLOBS}/{item.name}/{file.name}", why="it is no blob and nothing of ours")


def check_segments(site: Site, files: list[tuple[str, str]], on_progress: OnProgress) -> tuple[list[Finding], int]:
    """Hash captured segments, given as (digest, path); return what does not hold and how many bytes were hashed."""
    findings: list[Finding] = []
    hashed = 0
    for done, (digest, path) in enumerate(files):
        if done % _EVERY == 0:
            on_progress("segments", done, len(files))
        file = site.hidden / FOLDER / path
        try:
            hashed += file.stat().st_size
            if digest_of_file(file) != digest:
                findings.append(Finding(what=f"segment {path}", why=f"its sha256 is not {digest}"))
        except FileNotFoundError:
            findings.append(Finding(what=f"segment {path}", why="the file is gone"))
        except OSError as error:
            findings.append(Finding(what=f"segment {path}", why=f"it cannot be read: {error.strerror}"))
    return findings, hashed


def check_capture(site: Site) -> Iterator[Finding]:
    """Name journals that are damaged and Parquet files that nobody sealed.

    A journal that is being written, or was left by a killed gateway, is as it should be; so is its half-made segment,
    one that is being made of others, and one whose rows are in another now and that goes soon.
    """
    root = site.hidden / FOLDER
    alone: list[str] = []
    for file in sorted(root.glob("*/*")):
        path = file.relative_to(root).as_posix()
        if file.suffix == ENDING:
            if _is_damaged(file):
                yield Finding(what=f"journal {path}", why="its bytes do not match their checksums")
        elif file.suffix == ".parquet" and not any(file.with_suffix(one).exists() for one in (ENDING, NOTE)):
            alone.append(path)
    # Asked last and anew: a gateway that is running writes the row of a segment before its journal goes.
    with site.db.read(seconds_max=None) as rows:
        known = (*rows.rows("evidence.segment_files"), *rows.rows("evidence.segment_leavings"))
        sealed = {str(row["path"]) for row in known}
    for path in alone:
        if path not in sealed:
            yield Finding(what=f"file {FOLDER}/{path}", why="it lies among the segments, nobody sealed it")


def _is_damaged(journal: Path) -> bool:
    try:
        return read_journal(journal).damaged
    except FileNotFoundError:  # sealed meanwhile
        return False
    except (ValueError, OSError):
        return True


def check_bundle(site: Site, digest: str, checker: Checker, known: set[str]) -> Iterator[Finding]:
    """Check that every part of a bundle is there and that its signed provenance speaks of exactly this bundle.

    Args:
        site: the project.
        digest: which bundle.
        checker: the project's public key.
        known: the digests of all blobs that are there; their bytes are `check_blobs`'s.
    """
    what = f"bundle {digest}"
    try:
        bundle = read_bundle(site.blobs, digest)
        model = read_manifest(site.blobs, bundle.manifest)
        code = snapshot.read_manifest(site.blobs, bundle.code)
        kind, statement = unseal(checker, site.blobs.get(bundle.provenance))
    except RopewalkError as error:
        yield Finding(what=what, why=" ".join(word for word in (error.what, error.where, error.why) if word))
        return
    named = [*bundle.parts(), *model.parts.items(), *((path, file) for path, file, _ in code)]
    for name, part in named:
        if part not in known:
            yield Finding(what=what, why=f"its {name} ({part}) is gone")
    if kind != PAYLOAD_TYPE or not _speaks_of(statement, bundle):
        yield Finding(what=what, why="its provenance speaks of another bundle")


def _speaks_of(statement: Any, bundle: Bundle) -> bool:  # noqa: ANN401 - JSON of any shape
    """Say whether a provenance statement names this bundle's files, and its code as what they were made of."""
    parts = dict(bundle.parts())
    subjects = {
        name: parts[name] for name in (bundle.wheel, "requirements.lock", "model", "contract.json", "sbom.cdx.json")
    }
    try:
        made_of = _digests(statement["predicate"]["buildDefinition"]["resolvedDependencies"])
        return _digests(statement["subject"]) == subjects and made_of["code"] == bundle.code
    except (KeyError, TypeError):
        return False


def _digests(items: Any) -> dict[str, str]:  # noqa: ANN401 - JSON of any shape
    return {
        str(item["name"]): f"{PREFIX}{item['digest']['sha256']}"
        for item in cast("list[dict[str, dict[str, str]]]", items)
    }
