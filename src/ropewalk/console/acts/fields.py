"""The fields that forms of many things have: what a thing is, and its tags."""

from __future__ import annotations

from ropewalk.console.forms import Field, Given

KEY_LETTERS_MAX = 250


def described(size: int, text: str = "") -> Field:
    """Return the field of a description, with what it says now."""
    values = (text,) if text else ()
    return Field(name="description", label="Description", hint="Markdown", values=values, kind="area", size=size)


def tag_fields(given: Given, size: int, key_size: int = KEY_LETTERS_MAX) -> tuple[Field, Field]:
    """Return the fields of a tag that is to be set, filled in by the address that was followed."""
    return (
        Field(name="key", label="Tag", values=given.form.get("key", ()), required=True, size=key_size),
        Field(name="value", label="Value", values=given.form.get("value", ()), kind="area", size=size),
    )


def tag_gone(given: Given) -> Field:
    """Return the field of a tag that is to be deleted."""
    return Field(name="key", label="Tag", values=given.form.get("key", ()), required=True)
