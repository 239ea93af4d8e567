"""Which blobs have to be there, because something that is kept names them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

from ropewalk.blobs.bucket import Bucket
from ropewalk.errors import RopewalkError
from ropewalk.evidence.moved import moved
from ropewalk.ledger.chain import Entry
from ropewalk.models.manifest import read_manifest
from ropewalk.pipelines import outcomes
from ropewalk.refs import is_digest
from ropewalk.source import snapshot
from ropewalk.store.database import Reader

_MENTION = re.compile(r'(?:"([a-z_]+)":)?"(sha256:[0-9a-f]{64})"')
# Words of ledger bodies that hold a digest of something that is no file: a fingerprint, or a digest over rows.
NO_FILE = frozenset(
    {
        ("batch.begun", "digest"),
        ("batch.done", "input"),
        ("batch.done", "output"),
        ("release.begun", "intent"),
        ("release.approve", "evidence"),
        ("release.reject", "evidence"),
        ("labels.added", "digest"),
        ("reports.added", "digest"),
        ("run.graph", "graph"),
        ("step.done", "code"),
        ("step.done", "key"),
        ("step.done", "value"),
        ("run.steps", ""),
    }
)
# Entries with words that clients write as they like: what looks like a digest there names no file of ours. Of some,
# these words alone are ours.
_CLIENTS = (
    "access.",
    "evaluation.",
    "experiment.",
    "logged.",
    "model.",
    "run.renamed",
    "run.started",
    "traces.",
    "webhook.",
)
_OURS = {"model.registered": ("manifest",), "run.started": ("code", "environment")}
# Words of a stage's evidence that hold the digest of a file which nothing else may name.
_LOOKED_AT = frozenset({"answers", "contract", "diff", "environment", "golden", "holdout", "junit", "output"})


class Mentions:
    """Hears the ledger entry by entry and notes each digest of a file with the first entry that names it."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[int, str]] = {}
        self._moved: set[str] = set()

    def hear(self, entry: Entry) -> None:
        """Note which files an entry names, in its body or as what it is about, and which are no more by its word."""
        self._moved.update(moved(entry))
        for word, digest in _MENTION.findall(entry.body):
            if digest not in self._first and _names_a_file(entry.kind, word):
                self._first[digest] = (entry.seq, entry.kind)
        name = entry.subject.partition(":")[2]
        if is_digest(name) and not entry.kind.startswith(_CLIENTS):
            self._first.setdefault(name, (entry.seq, entry.kind))

    def digests(self) -> set[str]:
        """Return the digests of all files that were named."""
        return set(self._first)

    def missing(self, known: set[str]) -> Iterator[tuple[str, str]]:
        """Yield digest and reason of each file that is not among the known ones."""
        for digest, (seq, kind) in self._first.items():
            if digest not in known and digest not in self._moved:
                yield digest, f"it is gone; entry {seq} ({kind}) names it"


def missing_parts(rows: Reader, blobs: Bucket, known: set[str]) -> Iterator[tuple[str, str]]:
    """Yield digest and reason of each blob that code, a model, an artifact, an outcome or a stage's evidence needs.

    Args:
        rows: where the rows are.
        blobs: where the bytes are.
        known: the digests that are there.
    """
    for named, list_parts in (
        (rows.rows("evidence.run_codes"), _code),
        (rows.rows("evidence.manifests"), _model),
        (rows.rows("evidence.artifacts"), _logged),
        (rows.rows("gc.artifacts"), _file),
        (rows.rows("evidence.outcome_values"), _outcome),
        (rows.rows("evidence.stage_evidence"), _evidence),
    ):
        for row in named:
            yield from _lacking(blobs, {name: str(value) for name, value in row.items()}, list_parts, known)


def _names_a_file(kind: str, word: str) -> bool:
    if kind.startswith(_CLIENTS):
        return word in _OURS.get(kind, ())
    return (kind, word) not in NO_FILE


Parts = Callable[[Bucket, dict[str, str]], list[tuple[str, str]]]


def _lacking(blobs: Bucket, row: dict[str, str], list_parts: Parts, known: set[str]) -> Iterator[tuple[str, str]]:
    try:
        parts = list_parts(blobs, row)
    except RopewalkError as error:
        # A blob that is itself damaged or gone is named elsewhere; a row that does not fit its digest only here.
        if error.code == "outcome-corrupt":
            yield row["digest"], f"the outcome of step key {row['key']} is not the one that was stored"
        return
    except (ValueError, KeyError, TypeError) as error:
        yield next(iter(row.values())), f"its row cannot be read: {error}"
        return
    for what, digest in parts:
        if digest not in known:
            yield digest, f"it is gone; {what} needs it"


def _code(blobs: Bucket, row: dict[str, str]) -> list[tuple[str, str]]:
    return [
        (f"file {path} of code {row['code']}", file) for path, file, _ in snapshot.read_manifest(blobs, row["code"])
    ]


def _model(blobs: Bucket, row: dict[str, str]) -> list[tuple[str, str]]:
    parts = read_manifest(blobs, row["manifest"]).parts
    return [(f"{name} of model {row['manifest']}", part) for name, part in parts.items()]


def _logged(_blobs: Bucket, row: dict[str, str]) -> list[tuple[str, str]]:
    content = json.loads(row["value"])
    digest = str(content["digest" if "digest" in content else "manifest"])
    return [(f"{row['key']} of run {row['run_id']}", digest)]


def _file(_blobs: Bucket, row: dict[str, str]) -> list[tuple[str, str]]:
    return [(f"artifact {row['folder']}/{row['name']}", row["digest"])]


def _evidence(blobs: Bucket, row: dict[str, str]) -> list[tuple[str, str]]:
    text = blobs.get(row["evidence"]).decode()
    what = f"evidence {row['evidence']} of {row['release']} {row['stage']}"
    return [(f"{what} ({word})", digest) for word, digest in _MENTION.findall(text) if word in _LOOKED_AT]


def _outcome(blobs: Bucket, row: dict[str, str]) -> list[tuple[str, str]]:
    tree = outcomes.unpacked(blobs, row["value"], row["digest"])
    what = f"the outcome of step key {row['key']}"
    large = [row[name] for name in ("value", "entries") if is_digest(row[name])]
    return [(what, digest) for digest in (*large, *outcomes.blobs_of(tree))]
