"""What the rows claim and what the ledger says of the same facts: every difference is a finding."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ropewalk.ledger.chain import Entry
from ropewalk.refs import canonical
from ropewalk.store.database import Reader

Said = Callable[[Entry], tuple[str, str] | None]
_LIFE = frozenset({"started", "resumed", "running", "finished", "failed", "interrupted", "cancelled"})
_STATES = frozenset(
    {
        "walking",
        "interrupted",
        "failed",
        "waiting",
        "canary",
        "live",
        "retired",
        "fallen",
        "rolled-back",
        "rejected",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A kind of fact that stands in rows and in the ledger.

    Attributes:
        what: how people call it.
        query: gives `key` and `value` of each row.
        said: what an entry says of such a fact, or None; the newest entry counts.
    """

    what: str
    query: str
    said: Said


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A row that is not what the ledger says.

    Attributes:
        what: the kind of fact and its key.
        why: what is wrong.
        seq: the ledger's entry, 0 when there is none.
    """

    what: str
    why: str
    seq: int


def _name(entry: Entry) -> str:
    return entry.subject.partition(":")[2]


def _of(kind: str, key: str, value: str) -> Said:
    """Return what an entry of one kind says; `{x}` is a value of its body, `{SUBJECT}` what it is about."""

    def said(entry: Entry) -> tuple[str, str] | None:
        if entry.kind != kind:
            return None
        facts = {**entry.facts(), "SUBJECT": _name(entry), "ACTOR": entry.actor}
        return key.format_map(facts), value.format_map(facts)

    return said


def _tree(entry: Entry) -> tuple[str, str] | None:
    if not entry.kind.startswith("tree."):
        return None
    return f"{entry.kind.removeprefix('tree.')} {_name(entry)}", str(entry.facts()["bundle"])


def _release_state(entry: Entry) -> tuple[str, str] | None:
    room, _, word = entry.kind.partition(".")
    if room != "release":
        return None
    if word == "begun":
        return _name(entry), "walking"
    return (_name(entry), word) if word in _STATES else None


def _run_state(entry: Entry) -> tuple[str, str] | None:
    room, _, word = entry.kind.partition(".")
    if room != "run" or word not in _LIFE:
        return None
    return _name(entry), "running" if word in ("started", "resumed") else word


def _run(entry: Entry) -> tuple[str, str] | None:
    if entry.kind != "run.started":
        return None
    facts = entry.facts()
    args = canonical(facts["args"]).decode()
    return _name(entry), f"{facts['code']} {facts['environment']} {facts['commit']} {args}"


def _word(entry: Entry) -> tuple[str, str] | None:
    if entry.kind not in ("release.approve", "release.reject"):
        return None
    facts = entry.facts()
    return f"{_name(entry)} {facts['evidence']} {entry.actor}", f"{facts['verdict']} {facts['bundle']}"


CLAIMS = (
    Claim(what="run", query="evidence.runs", said=_run),
    Claim(what="state of run", query="evidence.run_states", said=_run_state),
    Claim(
        what="snapshot",
        query="evidence.snapshots",
        said=_of("snapshot.recorded", "{run} {node} {name}", "{SUBJECT} {rows}"),
    ),
    Claim(what="model", query="evidence.models", said=_of("model.registered", "{SUBJECT}", "{manifest} {run}")),
    Claim(what="bundle of release", query="evidence.bundles", said=_of("tree.dev", "{SUBJECT}", "{bundle}")),
    Claim(what="state of release", query="evidence.release_states", said=_release_state),
    Claim(what="tree", query="evidence.trees", said=_tree),
    Claim(
        what="stage",
        query="evidence.stages",
        said=_of("stage.stored", "{SUBJECT} {stage} {attempt}", "{state} {evidence}"),
    ),
    Claim(what="approval", query="evidence.approvals", said=_word),
    Claim(
        what="traffic",
        query="evidence.traffic",
        said=_of(
            "traffic.changed",
            "{endpoint}#{generation}",
            "{champion} {canary} {canary_weight_bp} {shadow} {previous} {salt}",
        ),
    ),
    Claim(
        what="segment",
        query="evidence.segments",
        said=_of("segment.sealed", "{digest}", "{path} {rows} {first_id} {last_id}"),
    ),
)


def differences(rows: Reader, entries: Iterable[Entry], claims: tuple[Claim, ...] = CLAIMS) -> Iterator[Difference]:
    """Yield every row that the ledger does not know, tells otherwise, or knows and that is gone.

    Args:
        rows: where the rows are.
        entries: the whole ledger, oldest first.
        claims: which facts to compare.
    """
    said: dict[str, dict[str, tuple[str, int]]] = defaultdict(dict)
    for entry in entries:
        for claim in claims:
            found = claim.said(entry)
            if found is not None:
                said[claim.what][found[0]] = (found[1], entry.seq)
    for claim in claims:
        told = said[claim.what]
        stands = {str(row["key"]): str(row["value"]) for row in rows.rows(claim.query)}
        for key, (value, seq) in told.items():
            if key not in stands:
                yield Difference(what=f"{claim.what} {key}", why="the ledger knows it, its row is gone", seq=seq)
            elif stands[key] != value:
                yield Difference(what=f"{claim.what} {key}", why="its row is not what the ledger says", seq=seq)
        for key in stands.keys() - told.keys():
            yield Difference(what=f"{claim.what} {key}", why="its row stands there, the ledger knows nothing", seq=0)
