"""What a person changes with: the fields of a form, what it says before, and what is told when it is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import parse_qsl

from ropewalk.access.roles import Caller
from ropewalk.errors import Invalid
from ropewalk.house import House
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction

MEDIA = "application/x-www-form-urlencoded"
FIELDS_MAX = 12_000
Kind = Literal["text", "area", "select", "check", "boxes", "password", "hidden"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One thing to fill in.

    Attributes:
        name: in the form.
        label: for people.
        values: what stands there; several for boxes and hidden lists.
        kind: how it is filled in.
        hint: more about it.
        options: value and word of each choice.
        required: whether it must be filled in.
        size: letters at most; 0 for what the room says.
    """

    name: str
    label: str = ""
    values: tuple[str, ...] = ()
    kind: Kind = "text"
    hint: str = ""
    options: tuple[tuple[str, str], ...] = ()
    required: bool = False
    size: int = 0

    @property
    def value(self) -> str:
        """The one value, or nothing."""
        return self.values[0] if self.values else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A form as it is shown.

    Attributes:
        title: of the page.
        button: what is pressed.
        back: address of the page that it belongs to.
        back_word: what that page is called.
        told: what will happen, a paragraph each.
        undo: how it is taken back; empty where nothing needs to be said.
        fields: what to fill in.
        danger: whether something goes away.
    """

    title: str
    button: str
    back: str
    back_word: str
    told: tuple[str, ...] = ()
    undo: str = ""
    fields: tuple[Field, ...] = ()
    danger: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What is told afterwards.

    Attributes:
        told: a sentence.
        address: the page that follows.
        undo: address of the form that takes it back; empty for none.
    """

    told: str
    address: str
    undo: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What somebody sent, and who he is.

    Attributes:
        house: the open project; its actor is the caller.
        caller: who asks.
        path: values from the address.
        form: values by the name of their field.
        key: by which a form that is sent twice is known; None where none came.
    """

    house: House
    caller: Caller
    path: Mapping[str, str]
    form: Mapping[str, tuple[str, ...]]
    key: str | None = None

    @property
    def site(self) -> Site:
        """The project, whose actor is the caller."""
        return self.house.site

    def text(self, name: str) -> str:
        """Return a field's text without line ends of other systems, or nothing."""
        found = self.form.get(name, ())
        return found[0].replace("\r\n", "\n") if found else ""

    def word(self, name: str) -> str:
        """Return a field's text without space around it, or nothing."""
        return self.text(name).strip()

    def many(self, name: str) -> tuple[str, ...]:
        """Return every value of a field, each once."""
        return tuple(dict.fromkeys(self.form.get(name, ())))


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One thing that people do in the console.

    Attributes:
        path: where its form is and is sent to; a form's address ends in `/do/WORD`.
        action: what the caller's role has to allow.
        sheet: the form, from what is there now.
        work: does it in the transaction that it is given.
        alone: does it and opens its own transaction, where it waits for others meanwhile.
        asks: whether it shows its sheet before it acts, when it came from elsewhere than that.
        restores: whether it brings runs back, for which the project's quota must have room.
    """

    path: str
    action: str
    sheet: Callable[[Given, Reader], Sheet]
    work: Callable[[Given, Transaction], Done] | None = None
    alone: Callable[[Given], Done] | None = None
    asks: bool = False
    restores: bool = False


def read(body: bytes, media: str) -> dict[str, tuple[str, ...]]:
    """Return the fields of a form.

    Raises:
        Invalid: it is none, holds a NUL character or too many fields.
    """
    if body and media.partition(";")[0].strip().lower() != MEDIA:
        raise _malformed(f"Content-Type is {media[:80] or 'missing'!r}")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict")
    except ValueError as error:
        raise _malformed(str(error)) from None
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        if "\0" in name or "\0" in value:
            raise Invalid("text-with-nul", "A text holds a NUL character.", where=name[:80], fix="leave it out")
        found.setdefault(name, []).append(value)
    return {name: tuple(values) for name, values in found.items()}


def _malformed(why: str) -> Invalid:
    return Invalid(
        "request-malformed", "This is no form of the console.", where="the form", why=why[:200], fix="use its page"
    )


def filled(sheet: Sheet, form: Mapping[str, tuple[str, ...]]) -> Sheet:
    """Return a form with what was typed into it; what is hidden or secret is not typed again."""
    return replace(sheet, fields=tuple(_typed(field, form) for field in sheet.fields))


def _typed(field: Field, form: Mapping[str, Sequence[str]]) -> Field:
    if field.kind in ("hidden", "password"):
        return field
    if field.kind in ("check", "boxes"):
        return replace(field, values=tuple(form.get(field.name, ())))
    return replace(field, values=tuple(form.get(field.name, field.values)))
