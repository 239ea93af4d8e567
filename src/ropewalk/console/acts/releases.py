"""A release is approved, rejected and promoted, and an endpoint's newest delivery is rolled back."""

from __future__ import annotations

from ropewalk.api import approvals, deliveries
from ropewalk.console.forms import Act, Done, Field, Given, Sheet
from ropewalk.console.words import share
from ropewalk.releases import approval, release, traffic
from ropewalk.releases.release import Release
from ropewalk.releases.traffic import Traffic
from ropewalk.store.database import Reader

HOME = "/releases/{name}/{number}/do"
NOTE = Field(name="note", label="Why", kind="area", size=2000)


def _name(given: Given) -> str:
    return f"{given.path['name']}/{given.path['number']}"


def _sheet(found: Release, title: str, button: str, told: tuple[str, ...], *fields: Field) -> Sheet:
    return Sheet(
        title=f"{title} {found.id}",
        button=button,
        back=f"/releases/{found.id}",
        back_word=f"Release {found.id}",
        told=told,
        fields=fields,
    )


def _seen(rows: Reader, found: Release) -> Field:
    return Field(name="seen", kind="hidden", values=(approval.evidence_of(rows, found.id),))


def _approve(given: Given, rows: Reader) -> Sheet:
    found = release.get(rows, _name(given))
    missing = approval.missing(rows, given.site, found)
    told = (
        f"You say yes to bundle {found.bundle} in {found.environment}.",
        f"The evidence is {approval.evidence_of(rows, found.id)}. When it changes, your word is void.",
        f"{found.author} shipped it and cannot approve it. {missing} more must approve.",
    )
    return _sheet(found, "Approve", "Approve", told, NOTE, _seen(rows, found))


def approve(given: Given) -> Done:
    """Say yes to a release, on the evidence that was shown."""
    said = approvals.Word(seen=given.text("seen"), note=given.word("note"))
    found = approvals.approved(given.site, given.caller, _name(given), said)
    after = "Nobody else has to." if not found.missing else f"{found.missing} more must approve."
    return Done(told=f"You approved {_name(given)}. {after}", address=f"/releases/{_name(given)}")


def _reject(given: Given, rows: Reader) -> Sheet:
    found = release.get(rows, _name(given))
    told = ("The release ends here, and the SQL that it applied goes back.",)
    plain = Field(name="note", label="Why", kind="area", required=True, size=2000)
    sheet = _sheet(found, "Reject", "Reject", told, plain, _seen(rows, found))
    return Sheet(
        title=sheet.title, button=sheet.button, back=sheet.back, back_word=sheet.back_word, told=sheet.told,
        fields=sheet.fields, undo="Not possible. Ship the model again: ropewalk ship", danger=True,
    )  # fmt: skip


def reject(given: Given) -> Done:
    """Say no to a release, on the evidence that was shown."""
    said = approvals.Word(seen=given.text("seen"), note=given.word("note"))
    approvals.rejected(given.site, given.caller, _name(given), said)
    return Done(told=f"You rejected {_name(given)}.", address=f"/releases/{_name(given)}")


def _generation(now: Traffic | None) -> Field:
    return Field(name="generation", kind="hidden", values=(str(0 if now is None else now.generation),))


def _said(given: Given) -> deliveries.Reason:
    generation = given.text("generation")
    return deliveries.Reason(
        reason=given.word("note"),
        generation=int(generation) if generation.isascii() and generation.isdigit() and len(generation) < 19 else None,  # noqa: PLR2004 - digits of 64 bits
    )


def _promote(given: Given, rows: Reader) -> Sheet:
    found = release.get(rows, _name(given))
    now = traffic.current(rows, traffic.endpoint_name(found.name, found.environment))
    told = ["It gets all traffic at once, without waiting for the verdict of its canary."]
    if now is not None and now.canary == found.id:
        told.append(f"It answers {share(now.canary_weight_bp)} now; {now.champion} answers the rest and stays warm.")
    sheet = _sheet(found, "Promote", "Promote", tuple(told), NOTE, _generation(now))
    return Sheet(
        title=sheet.title, button=sheet.button, back=sheet.back, back_word=sheet.back_word, told=sheet.told,
        fields=sheet.fields, undo="Roll the endpoint back: the release before it is kept warm.",
    )  # fmt: skip


def promote(given: Given) -> Done:
    """Give a canary all traffic."""
    now = deliveries.promoted(given.site, given.caller, _name(given), _said(given))
    return Done(told=f"{now.champion} answers everybody at {now.endpoint}.", address=f"/endpoints/{now.endpoint}")


def _rollback(given: Given, rows: Reader) -> Sheet:
    name = given.path["name"]
    deliveries.environment_of(rows, name)
    now = traffic.current(rows, name)
    assert now is not None, name
    if now.canary:
        told = f"The canary {now.canary} falls, and {now.champion} answers everybody."
    elif now.previous:
        told = f"{now.champion} yields, and {now.previous} answers everybody again."
    else:
        told = f"There is nothing to go back to: {now.champion} is the only release that was live here."
    return Sheet(
        title=f"Roll {name} back",
        button="Roll back",
        back=f"/endpoints/{name}",
        back_word=f"Endpoint {name}",
        told=(told, "SQL that came with what falls goes back too."),
        undo="Ship it again: ropewalk ship",
        fields=(NOTE, _generation(now)),
        danger=True,
    )


def rollback(given: Given) -> Done:
    """Undo the newest delivery of an endpoint."""
    now = deliveries.rolled_back(given.site, given.caller, given.path["name"], _said(given))
    return Done(told=f"{now.champion} answers everybody again.", address=f"/endpoints/{now.endpoint}")


ACTS = (
    Act(path=f"{HOME}/approve", action="approve", sheet=_approve, alone=approve),
    Act(path=f"{HOME}/reject", action="approve", sheet=_reject, alone=reject),
    Act(path=f"{HOME}/promote", action="operate", sheet=_promote, alone=promote),
    Act(path="/endpoints/{name}/do/rollback", action="operate", sheet=_rollback, alone=rollback),
)
