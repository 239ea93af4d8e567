"""What the beginning and the end of a run bring with them, each in the transaction that begins or ends it."""

from __future__ import annotations

from ropewalk.runs import keep
from ropewalk.runs.run import Run
from ropewalk.site import Site
from ropewalk.store.database import Transaction

# What only some runs need is imported where it is needed: every run waits for what stands at the top.


def begun(site: Site, fire: str, tx: Transaction, run: Run) -> None:
    """Note in the transaction that begins a run which start it is."""
    if fire:
        from ropewalk.loops import start

        start.begun(site, fire, tx, run)


def finished(site: Site, fire: str, tx: Transaction, run: Run) -> None:
    """Do what the end of a run brings with it, in its transaction: its models are registered, its start is over."""
    if keep.facts(tx, run.id, "model"):
        from ropewalk.models.register import register_logged

        register_logged(site, tx, run)
    if fire:
        from ropewalk.loops import start

        start.finished(site, fire, tx, run)
