"""Every error that Ropewalk raises on purpose: a code, and four lines that say what, where, why and what to type."""

from __future__ import annotations

from typing import ClassVar


class RopewalkError(Exception):
    """An error of the world, told in four lines.

    Args:
        code: stable kebab-case name with a heading in `errors.md`, such as `run-not-found`.
        what: one sentence that says what happened.
        where: the file, column, run or route it happened at.
        why: what was wanted and what was found.
        fix: the exact command or edit that mends it.
    """

    kind: ClassVar[str] = "internal"

    def __init__(self, code: str, what: str, *, where: str = "", why: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.code = code
        self.what = what
        self.where = where
        self.why = why
        self.fix = fix

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.record()))

    def record(self) -> dict[str, str]:
        """Return the error as plain text fields, ready for JSON."""
        return {"code": self.code, "what": self.what, "where": self.where, "why": self.why, "fix": self.fix}


def _rebuild(cls: type[RopewalkError], fields: dict[str, str]) -> RopewalkError:
    return cls(fields["code"], fields["what"], where=fields["where"], why=fields["why"], fix=fields["fix"])


class Invalid(RopewalkError):
    """The input is not what was asked for; nothing was changed (HTTP 400 or 422)."""

    kind = "invalid"


class NotFound(RopewalkError):
    """No such thing (HTTP 404)."""

    kind = "not-found"


class Conflict(RopewalkError):
    """The thing exists already, or has moved on since it was read (HTTP 409)."""

    kind = "conflict"


class Refused(RopewalkError):
    """A gate, a rule or a role says no (HTTP 403)."""

    kind = "refused"


class Corrupt(RopewalkError):
    """Bytes do not match the digest or the signature that was recorded for them (HTTP 500, never served)."""

    kind = "corrupt"


class Unavailable(RopewalkError):
    """It cannot be done now, later perhaps (HTTP 503)."""

    kind = "unavailable"


class Interrupted(RopewalkError):
    """The work was killed or lost its lease; the same command resumes it (HTTP 409)."""

    kind = "interrupted"


class Missing(RopewalkError):
    """An optional library is not installed; the fix names the extra (HTTP 501)."""

    kind = "missing"


def missing_extra(library: str, extra: str) -> Missing:
    """Return the error that says which extra brings an optional library."""
    return Missing(
        "extra-not-installed",
        f"{library} is not installed.",
        why=f"this needs {library}, which comes with the extra {extra!r}",
        fix=f'pip install "ropewalk[{extra}]"',
    )
