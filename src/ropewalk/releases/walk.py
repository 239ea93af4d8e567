"""What a stage is given and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ropewalk.releases.bundle import Bundle, read_bundle
from ropewalk.releases.design import Baseline
from ropewalk.releases.outcome import FAILED, PASSED, SKIPPED
from ropewalk.releases.release import Release
from ropewalk.settings import Canary, Settings
from ropewalk.site import Site
from ropewalk.store.database import Transaction

if TYPE_CHECKING:
    import polars as pl

STAGING = "staging"


def _nothing(_endpoint: str, _champion: str, _plan: Canary) -> Baseline:
    """Return that nothing is known of a champion."""
    return Baseline()


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """What rooms above this one can do for a walk; the house hands it down.

    Attributes:
        serve: start an endpoint for a bundle digest in an environment; gives its loopback address, such as
            `http://127.0.0.1:41234`, and stops it on leaving.
        predict: score a frame of inputs with a bundle in a sandboxed worker: same rows, same order, output columns.
        recorded: newest captured inputs of an endpoint, at most so many rows, oldest first, with `event_us`.
        baseline: what a champion did at an endpoint, for the design of a canary's plan.
    """

    serve: Callable[[str, str], AbstractContextManager[str]]
    predict: Callable[[str, pl.DataFrame], pl.DataFrame]
    recorded: Callable[[str, int], pl.DataFrame]
    baseline: Callable[[str, str, Canary], Baseline] = _nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One line of progress.

    Attributes:
        release: the release.
        stage: one of the nine.
        state: `begins`, `passed`, `failed`, `skipped`, `waiting` or `doing`.
        text: for people.
    """

    release: str
    stage: str
    state: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a stage found.

    Attributes:
        state: `passed`, `failed` or `skipped`.
        summary: one line for people.
        evidence: JSON-able facts with the digest of everything that was looked at.
        fix: what to do next after a failure.
        also: written in the transaction that stores the outcome.
    """

    state: str
    summary: str
    evidence: Mapping[str, Any]
    fix: str = ""
    also: Callable[[Transaction, Release], None] | None = None


def passed(summary: str, evidence: Mapping[str, Any]) -> Found:
    """Return a pass."""
    return Found(state=PASSED, summary=summary, evidence=evidence)


def skipped(summary: str, evidence: Mapping[str, Any]) -> Found:
    """Return a stage that had nothing to do, said plainly."""
    return Found(state=SKIPPED, summary=summary, evidence=evidence)


def failed(summary: str, evidence: Mapping[str, Any], fix: str) -> Found:
    """Return a failure with what to do next."""
    return Found(state=FAILED, summary=summary, evidence=evidence, fix=fix)


class Walk:
    """One process walking one release; not a record: it holds the staging endpoint while it is up.

    Args:
        site: the project.
        settings: `ropewalk.toml` as it is now.
        release: the release as it is now.
        doors: what the rooms above can do.
        say: takes a line of progress.
    """

    def __init__(
        self, *, site: Site, settings: Settings, release: Release, doors: Doors, say: Callable[[Progress], None]
    ) -> None:
        self.site, self.settings, self.release, self.doors, self.say = site, settings, release, doors, say
        self._up = ExitStack()
        self._url = ""

    def bundle(self) -> Bundle:
        """Return the release's bundle, verified."""
        return read_bundle(self.site.blobs, self.release.bundle)

    def url(self) -> str:
        """Return the address of the staging endpoint, started when it is first asked for."""
        if not self._url:
            self._url = self._up.enter_context(self.doors.serve(self.release.bundle, STAGING)).rstrip("/")
        return self._url

    def doing(self, stage: str, text: str) -> None:
        """Say what a stage does now."""
        self.say(Progress(release=self.release.id, stage=stage, state="doing", text=text))

    def close(self) -> None:
        """Stop the staging endpoint if it is up."""
        self._url = ""
        self._up.close()
