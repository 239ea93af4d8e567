"""A trace is tagged, judged and deleted."""

from __future__ import annotations

import json
from urllib.parse import quote

from ropewalk.console.acts.fields import tag_fields, tag_gone
from ropewalk.console.forms import Act, Done, Field, Given, Sheet
from ropewalk.store.database import Reader, Transaction
from ropewalk.traces import assessment, tags, trace
from ropewalk.traces import delete as deleting
from ropewalk.traces.assessment import Assessment
from ropewalk.traces.trace import Trace

HOME = "/traces/{trace}/do"


def _found(given: Given, rows: Reader) -> Trace:
    return trace.get(rows, given.path["trace"])


def _home(found: Trace) -> str:
    return f"/traces/{quote(found.id, safe='')}"


def _sheet(found: Trace, title: str, button: str, *fields: Field) -> Sheet:
    return Sheet(title=title, button=button, back=_home(found), back_word=found.name or found.id, fields=fields)


def _tag(given: Given, rows: Reader) -> Sheet:
    fields = tag_fields(given, tags.VALUE_LETTERS_MAX, tags.KEY_LETTERS_MAX)
    return _sheet(_found(given, rows), "Set a tag of this trace", "Set tag", *fields)


def tag(given: Given, tx: Transaction) -> Done:
    """Set a tag of a trace."""
    found, key = _found(given, tx), given.word("key")
    tags.set_tag(tx, found.id, key, given.text("value"))
    return Done(told=f"Tag {key} is set.", address=_home(found))


def _untag(given: Given, rows: Reader) -> Sheet:
    return _sheet(_found(given, rows), "Delete a tag of this trace", "Delete tag", tag_gone(given))


def untag(given: Given, tx: Transaction) -> Done:
    """Take a tag of a trace away."""
    found = _found(given, tx)
    tags.delete_tag(tx, found.id, given.text("key"))
    return Done(told=f"Tag {given.text('key')} is gone.", address=_home(found))


def _feedback(given: Given, rows: Reader) -> Sheet:
    fields = (
        Field(name="name", label="Of what", hint="correctness, tone, …", required=True, size=250),
        Field(
            name="value",
            label="Judgement",
            hint="yes, no, a number, or words; true, 0.7 and JSON are taken as such",
            required=True,
            size=assessment.NAME_LETTERS_MAX,
        ),
        Field(name="why", label="Why", kind="area", size=10_000),
    )
    return _sheet(_found(given, rows), "Judge this trace", "Add feedback", *fields)


def feedback(given: Given, tx: Transaction) -> Done:
    """Keep what a person thinks of a trace."""
    found = _found(given, tx)
    told = Assessment(
        kind="feedback",
        name=given.word("name"),
        value=_value(given.word("value")),
        rationale=given.word("why") or None,
        source_type="HUMAN",
        source_id=given.caller.name,
    )
    made = assessment.add(tx, given.site, found.number, found.id, told)
    return Done(told=f"Your judgement of {made.name} is kept.", address=f"{_home(found)}#assessments")


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _unjudge(given: Given, rows: Reader) -> Sheet:
    found = _found(given, rows)
    known = assessment.get(rows, found.number, found.id, given.text("assessment"))
    return Sheet(
        title=f"Take the judgement of {known.name} back",
        button="Take back",
        back=f"{_home(found)}#assessments",
        back_word=found.name or found.id,
        told=(f"{known.source_id or known.source_type.lower()} gave it; it goes for good.",),
        undo="Not possible. Judge again.",
        fields=(Field(name="assessment", kind="hidden", values=(known.id,)),),
        danger=True,
    )


def unjudge(given: Given, tx: Transaction) -> Done:
    """Take a judgement back."""
    found = _found(given, tx)
    known = assessment.get(tx, found.number, found.id, given.text("assessment"))
    assessment.delete(tx, found.number, known.id)
    return Done(told=f"The judgement of {known.name} is taken back.", address=f"{_home(found)}#assessments")


def _delete(given: Given, rows: Reader) -> Sheet:
    found = _found(given, rows)
    return Sheet(
        title="Delete this trace",
        button="Delete for good",
        back=_home(found),
        back_word=found.name or found.id,
        told=("Its spans, tags and judgements go with it. The ledger says that it was deleted, and by whom.",),
        undo="Not possible.",
        danger=True,
    )


def delete(given: Given, tx: Transaction) -> Done:
    """Delete a trace."""
    found = _found(given, tx)
    deleting.delete(tx, given.site, str(found.experiment), ids=[found.id])
    return Done(told=f"Trace {found.id} is deleted.", address="/traces")


ACTS = (
    Act(path=f"{HOME}/tag", action="write", sheet=_tag, work=tag),
    Act(path=f"{HOME}/untag", action="write", sheet=_untag, work=untag),
    Act(path=f"{HOME}/feedback", action="write", sheet=_feedback, work=feedback),
    Act(path=f"{HOME}/unjudge", action="write", sheet=_unjudge, work=unjudge, asks=True),
    Act(path=f"{HOME}/delete", action="write", sheet=_delete, work=delete),
)
