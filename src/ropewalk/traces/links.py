"""Runs that a trace belongs to besides the one it was made in, and prompts that it used."""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.errors import Invalid
from ropewalk.runs import run as runs
from ropewalk.store.database import Transaction
from ropewalk.traces import trace as traces

RUN, PROMPT = "run", "prompt"
LINKS_MAX = 100
NAME_LETTERS_MAX = 500


def link_run(tx: Transaction, ids: Sequence[str], run: str) -> None:
    """Make traces belong to a run; those that are not there are left out, as MLflow does.

    Raises:
        NotFound: there is no such run.
        Invalid: there are more than 100 traces.
    """
    _require_few(ids)
    runs.get(tx, run)
    for found in traces.by_ids(tx, ids):
        tx.run("traces.link", trace=found.number, kind=RUN, target=run)


def link_prompts(tx: Transaction, trace: str, versions: Sequence[tuple[str, str]]) -> None:
    """Note which versions of prompts a trace used, each as name and version.

    Raises:
        NotFound: there is no such trace.
        Invalid: there are more than 100, or a version is no number.
    """
    _require_few(versions)
    found = traces.get(tx, trace)
    for name, version in versions:
        fine = version.isascii() and version.isdigit() and len(version) < 10  # noqa: PLR2004 - versions are small
        if not fine or not name or len(name) > NAME_LETTERS_MAX:
            raise Invalid(
                "trace-invalid",
                "This is no version of a prompt.",
                where=f"{name[:40]}/{version[:40]}",
                why="a prompt has a name and a whole number as its version",
                fix='{"name": "qa-prompt", "version": "4"}',
            )
        tx.run("traces.link", trace=found.number, kind=PROMPT, target=f"{name}/{int(version)}")


def _require_few(items: Sequence[object]) -> None:
    if len(items) > LINKS_MAX:
        raise Invalid(
            "trace-invalid",
            f"At most {LINKS_MAX} things are linked at once.",
            why=f"found {len(items)}",
            fix="link them in pieces",
        )
