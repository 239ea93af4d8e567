"""Schedules in five cron fields, for targets that know nothing else."""

from __future__ import annotations

from ropewalk.errors import Invalid
from ropewalk.schedules.spec import CRON, Spec

MINUTES_OF_HOUR, HOURS_OF_DAY = 60, 24
_ONLY_OURS = frozenset("L#W")


def crontab(spec: Spec, target: str) -> str:
    """Return a schedule as cron fields that every cron knows.

    Raises:
        Invalid: it cannot be said so: intervals that do not divide an hour or a day, or fields such as `L` and `MON#1`.
    """
    if spec.kind == CRON:
        fields = spec.cron.upper().split()
        if any(_ONLY_OURS & set(field.replace("JUL", "").replace("WED", "")) for field in (fields[2], fields[4])):
            raise _cannot(spec, target, f"{target} knows no L, W or # in {spec.cron}")
        return spec.cron
    minutes, rest = divmod(spec.every_us, 60_000_000)
    if not rest and minutes and not MINUTES_OF_HOUR % minutes:
        return f"*/{minutes} * * * *" if minutes < MINUTES_OF_HOUR else "0 * * * *"
    hours, rest = divmod(minutes, MINUTES_OF_HOUR)
    if not rest and hours and not HOURS_OF_DAY % hours:
        return f"0 */{hours} * * *" if hours < HOURS_OF_DAY else "0 0 * * *"
    raise _cannot(spec, target, f"{spec.when} divides neither an hour nor a day")


def _cannot(spec: Spec, target: str, why: str) -> Invalid:
    return Invalid(
        "export-schedule",
        f"The schedule {spec.name} cannot be said in {target}'s words.",
        where=spec.pipeline,
        why=why,
        fix="write it in plain cron fields, or leave it out: --schedule none",
    )
