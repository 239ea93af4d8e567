"""Registering what a run has logged: each model of it becomes a version, in the transaction that finishes the run."""

from __future__ import annotations

from ropewalk.models import versions
from ropewalk.runs import keep
from ropewalk.runs import run as runs
from ropewalk.runs.run import Run
from ropewalk.site import Site
from ropewalk.store.database import Transaction


def register_logged(site: Site, tx: Transaction, finished: Run) -> None:
    """Register the models of a run that has finished."""
    for fact in keep.facts(tx, finished.id, "model"):
        manifest = str(fact.content()["manifest"])
        # The same model of the same code is the same version: a run from the cache has nothing new to deliver.
        known = versions.of_manifest(tx, manifest, fact.key)
        if not any(runs.get(tx, one.run_id).code == finished.code for one in known):
            versions.register(tx, site, name=fact.key, manifest=manifest, run_id=finished.id)
