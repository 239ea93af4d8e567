"""The changes that the demo commits to a copy of this project: one good, two bad in ways that really happen."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Replace `old`, which must stand exactly once in the file, by `new`."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A commit that somebody might make: its message, what it does to the files, and what comes of it."""

    message: str
    outcome: str
    edits: tuple[Edit, ...]


VARIANTS = {
    "retrained": Variant(
        message="Train on January to June: summer is in the data now",
        outcome="better in every month that follows: climbs and goes live",
        edits=(Edit(file="pipeline.py", old="month_to: int = 3,", new="month_to: int = 6,"),),
    ),
    "leaky": Variant(
        message="Use the time a flight really takes, airlines pad their timetables",
        outcome="great on every held-out row, worse on live ones: when it lands is not known before it leaves",
        edits=(
            Edit(
                file="pipeline.py",
                old='    """Departures from New York in these months of 2013."""\n'
                "    return tables.flights(month_from, month_to)\n",
                new='    """Departures from New York in these months of 2013, with the times they really take."""\n'
                "    flights = tables.flights(month_from, month_to)\n"
                '    arrival = pl.coalesce("arr_time", "sched_arr_time")\n'
                '    return flights.with_columns(arrival.alias("sched_arr_time"))\n',
            ),
        ),
    ),
    "brittle": Variant(
        message="Train on clean rows only, a gap in the data teaches nothing",
        outcome="its contract has no gaps, live traffic has: refused as soon as recorded requests are replayed",
        edits=(
            Edit(
                file="pipeline.py",
                old="    return landed\n",
                new="    return landed.drop_nulls()\n",
            ),
        ),
    ),
}


def apply(name: str, project: Path) -> Variant:
    """Edit the files of the project's copy; KeyError for an unknown name, ValueError where an edit finds no place.

    Nothing is written unless every edit fits.
    """
    variant = VARIANTS[name]
    texts: dict[str, str] = {}
    for edit in variant.edits:
        text = texts.get(edit.file) or (project / edit.file).read_text(encoding="utf-8")
        if text.count(edit.old) != 1:
            raise ValueError(
                f"variant {name}: wanted one place in {edit.file} for {edit.old!r}, found {text.count(edit.old)}"
            )
        texts[edit.file] = text.replace(edit.old, edit.new)
    for file, text in texts.items():
        (project / file).write_text(text, encoding="utf-8")
    return variant
