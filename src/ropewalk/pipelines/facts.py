"""What one thing of the project is by itself, and which things it refers to."""

from __future__ import annotations

from typing import Any, Literal

from ropewalk.records import frozen

Kind = Literal["root", "follow", "value", "library", "project", "files", "effects", "note"]


@frozen
class Ref:
    """A thing that is referred to.

    Attributes:
        name: how people call it, where the thing does not know that itself.
        value: the thing.
        kind: `follow` for functions, classes and modules of the project, `value` for what a name holds, `library` for
            a library by its name, `project` for everything, `files` for what of the project is not Python, `effects`
            for a module's statements, `note` for what people are told beside.
    """

    name: str
    value: Any
    kind: Kind


@frozen
class Facts:
    """What one thing is.

    Attributes:
        name: how people call it.
        token: changes whenever the thing by itself does.
        shown: what people read: a short value, a version, or the beginning of the token.
        refs: what it refers to, in order.
        reads: files and variables that it says it reads.
        hidden: variables whose values nobody may know.
        asks: whether its code asks for environment variables by names that it does not say.
        words: texts that it holds, in which such names may be.
        holds: what can be changed in it, by identity: the same thing may be held elsewhere too.
    """

    name: str
    token: str
    shown: str
    refs: tuple[Ref, ...]
    reads: tuple[str, ...]
    hidden: tuple[str, ...] = ()
    asks: bool = False
    words: tuple[str, ...] = ()
    holds: tuple[int, ...] = ()
