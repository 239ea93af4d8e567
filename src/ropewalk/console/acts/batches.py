"""A batch is asked for, and ended."""

from __future__ import annotations

from ropewalk.api.batches import Rows, Wanted, write
from ropewalk.batches import batch as batches
from ropewalk.batches import folder as folders
from ropewalk.console.forms import Act, Done, Field, Given, Sheet
from ropewalk.releases import traffic
from ropewalk.store.database import Reader

PATH_LETTERS = 1000


def _score(_given: Given, rows: Reader) -> Sheet:
    names = traffic.endpoints(rows)
    fields = (
        Field(
            name="endpoint", label="Champion of", kind="select", options=tuple((name, name) for name in names),
            hint="" if names else "nothing is live yet",
        ),
        Field(
            name="release", label="Or by this release", size=PATH_LETTERS,
            hint="such as churn/3; the champion when left out",
        ),
        Field(
            name="artifact", label="Artifact", size=PATH_LETTERS,
            hint="path of a Parquet, Arrow, CSV or NDJSON file among the artifacts, such as in/rows.parquet",
        ),
        Field(name="snapshot", label="Or snapshot", size=PATH_LETTERS, hint="digest of a frame that a run recorded"),
        Field(
            name="errors", label="A row that cannot be answered", kind="select", values=("stop",),
            options=(("stop", "stops the batch"), ("aside", "is set aside")),
        ),
    )  # fmt: skip
    told = ("All rows are scored in the background; killed anywhere, the batch goes on where it was.",)
    return Sheet(
        title="Score rows",
        button="Score them",
        back="/batches",
        back_word="Batches",
        told=told,
        fields=fields,
        undo="Cancel it; what was scored of it goes away.",
    )


def score(given: Given) -> Done:
    """Write a batch down."""
    wanted = Wanted(
        source=Rows(artifact=given.word("artifact"), snapshot=given.word("snapshot")),
        endpoint=given.word("endpoint"),
        release=given.word("release"),
        errors="aside" if given.word("errors") == "aside" else "stop",
    )
    made = write(given.house, wanted, given.key)
    return Done(told="The batch waits for its turn.", address=f"/batches/{made}")


def _cancel(given: Given, rows: Reader) -> Sheet:
    found = batches.get(rows, given.path["batch"])
    return Sheet(
        title="Cancel the batch",
        button="Cancel it",
        back=f"/batches/{found.id}",
        back_word=f"Batch {found.id[:13]}",
        told=(f"{found.scored:,} of {found.rows:,} rows are scored. What was scored goes away.",),
        undo="Ask for the same rows again; they are scored from the first one on.",
        danger=True,
    )


def cancel(given: Given) -> Done:
    """End a batch, or ask the process that works on it to."""
    with given.site.db.read() as rows:
        found = batches.get(rows, given.path["batch"])
    ended = folders.cancel(given.site, found)
    over = ended.state == batches.CANCELLED
    told = "The batch is cancelled." if over else "The batch ends after the part that is being scored."
    return Done(told=told, address=f"/batches/{ended.id}")


ACTS = (
    Act(path="/batches/do/score", action="write", sheet=_score, alone=score, asks=True),
    Act(path="/batches/{batch}/do/cancel", action="write", sheet=_cancel, alone=cancel, asks=True),
)
