"""What the ledger says of starts of schedules, backfills, sweeps and their trials, beside what their rows say."""

from __future__ import annotations

import json
from collections.abc import Iterator

from ropewalk.evidence.claim import GONE, Claim, Words, kinds_of, name_of, plain, state_of
from ropewalk.ledger.chain import Entry
from ropewalk.refs import canonical
from ropewalk.schedules.retention import PRUNED
from ropewalk.store.database import Row

_OVER = frozenset({"done", "failed", "skipped", "missed", "cancelled"})
_FIRE = kinds_of("fire", "waiting", "started", "again", *sorted(_OVER))
_TRIAL = kinds_of("trial", "running", "done", "failed", "waiting")


def _cause(entry: Entry, facts: Words) -> Words:
    texts = {name: canonical(facts[name]).decode() for name in ("args", "told")}
    return {**facts, **texts, "id": name_of(entry)}


def _fire(entry: Entry, facts: Words) -> Words:
    word = entry.kind.partition(".")[2]
    over = word in _OVER
    note = facts.get("note", "") if over else ""
    return {"id": name_of(entry), "state": word if over else "open", "run": facts.get("run", ""), "note": note}


def _space(entry: Entry, facts: Words) -> Words:
    return {**facts, "id": name_of(entry), "space": canonical(facts["space"]).decode()}


def _space_row(row: Row) -> Words:
    return {**row, "space": canonical(json.loads(str(row["space"]))).decode()}


def _trial(entry: Entry, facts: Words) -> Words:
    return {**facts, "sweep": name_of(entry), "state": entry.kind.partition(".")[2]}


def _arguments(entry: Entry, facts: Words) -> Words:
    gone = {} if "args" in facts else {"args": "", GONE: True}
    said = {"args": canonical(facts["args"]).decode()} if "args" in facts else gone
    return {"sweep": name_of(entry), "number": facts["number"], **said}


def _arguments_row(row: Row) -> Words:
    return {**row, "args": canonical(json.loads(str(row["args"]))).decode()}


def pruned(entry: Entry) -> Iterator[tuple[str, str]]:
    """Yield kind and id of each fact whose row is no more, because it was old enough."""
    if entry.kind != PRUNED:
        return
    try:
        facts = json.loads(entry.body)
        names = [*facts["starts"]], [*facts["backfills"]]
    except (ValueError, KeyError, TypeError):
        return
    for name in names[0]:
        yield from (("start", name), ("state of start", name), ("interval of start", name))
    for name in names[1]:
        yield from (("backfill", name), ("state of backfill", name))


STARTS = (
    Claim(
        what="start",
        query="evidence.fires",
        kinds=kinds_of("fire", "waiting", "skipped", "missed"),
        key=("id",),
        words=("schedule", "key", "cause", "due_us", "args", "told", "backfill"),
        said=_cause,
    ),
    Claim(
        what="state of start",
        query="evidence.fire_states",
        kinds=_FIRE,
        key=("id",),
        words=("state", "run", "note"),
        said=_fire,
    ),
    Claim(
        what="interval of start",
        query="evidence.fire_intervals",
        kinds=kinds_of("fire", "waiting", "skipped", "missed"),
        key=("id",),
        words=("by", "from_us", "until_us"),
        said=plain,
        known=False,
    ),
    Claim(
        what="backfill",
        query="evidence.backfills",
        kinds=("backfill.open",),
        key=("id",),
        words=("schedule", "from_us", "until_us", "parallel"),
    ),
    Claim(
        what="state of backfill",
        query="evidence.backfill_states",
        kinds=kinds_of("backfill", "open", "done", "failed", "cancelled"),
        key=("id",),
        words=("state",),
        said=state_of({}),
    ),
    Claim(
        what="sweep",
        query="evidence.sweeps",
        kinds=("sweep.begun",),
        key=("id",),
        words=("pipeline", "key", "method", "trials", "seed", "goal", "space"),
        said=_space,
        read=_space_row,
    ),
    Claim(
        what="trial",
        query="evidence.trials",
        kinds=_TRIAL,
        key=("sweep", "number"),
        words=("state", "run", "value", "error"),
        said=_trial,
    ),
    Claim(
        what="arguments of trial",
        query="evidence.trial_args",
        kinds=("trial.proposed", "trial.running"),
        key=("sweep", "number"),
        words=("args",),
        said=_arguments,
        read=_arguments_row,
        known=False,
    ),
)
