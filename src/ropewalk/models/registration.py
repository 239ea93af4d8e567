"""Registering what is there already: a source that clients name becomes a version, a text the next one of a prompt."""

from __future__ import annotations

import json
from collections.abc import Mapping

import msgspec

from ropewalk.errors import Conflict, Invalid
from ropewalk.models import logged, prompts, registered, versions
from ropewalk.models.source import settle
from ropewalk.models.versions import ModelVersion
from ropewalk.site import Site
from ropewalk.store.database import Transaction

# The tag by which a logged model knows the versions that were made of it.
REGISTRATIONS = "mlflow.modelVersions"
TEXT_PROMPT = "text"


def register(
    tx: Transaction,
    site: Site,
    *,
    name: str,
    source: str,
    run_id: str | None = None,
    logged_model: str | None = None,
    run_link: str = "",
    description: str = "",
    tags: Mapping[str, str] | None = None,
) -> ModelVersion:
    """Make what a source names the next version of a model, and note it on the logged model that it is.

    Args:
        tx: the transaction; the caller owns the commit.
        site: the project.
        name: the registered model.
        source: what `source.settle` takes.
        run_id: the run that is said to have made it; None when nothing is said.
        logged_model: id of the logged model that it is said to be; None when nothing is said.
        run_link: address of the run, where a client gave one.
        description: what people say of it.
        tags: its tags.

    Raises:
        Invalid: the source, a tag or a text is none.
        NotFound: there is no such registered model.
    """
    found = settle(tx, source, run_id=run_id, logged_model=logged_model)
    made = versions.add(
        tx,
        site,
        name=name,
        source=found.uri,
        storage=found.storage,
        run_id=found.run_id,
        logged_model=found.logged_model,
        run_link=run_link,
        description=description,
        tags=tags,
    )
    if made.logged_model:
        _note(tx, site, made)
    return made


def _note(tx: Transaction, site: Site, made: ModelVersion) -> None:
    """Write on the logged model that it was registered, as MLflow's clients look it up there."""
    model = logged.get(tx, made.logged_model, allow_deleted=True)
    try:
        known = msgspec.json.decode(logged.tags(tx, model).get(REGISTRATIONS, "[]"), type=list[dict[str, object]])
    except msgspec.DecodeError:
        known = []
    text = json.dumps([*known, {"name": made.name, "version": made.version}])
    logged.set_tags(tx, site, model.id, [(REGISTRATIONS, text)])


def new_prompt(tx: Transaction, site: Site, name: str, text: str, *, message: str = "") -> ModelVersion:
    """Keep a text as the next version of a prompt, as MLflow's `register_prompt` does.

    Raises:
        Invalid: there is no text.
        NotFound: there is no such prompt.
        Conflict: it is a model and no prompt.
    """
    if not text.strip():
        raise Invalid("prompt-empty", "A prompt has a text.", where=name[:80], why="it is empty", fix="type one")
    if not registered.is_prompt(tx, registered.get(tx, name)):
        raise Conflict("model-exists", "A model has this name, and no prompt.", where=name, fix="take another name")
    marks = {prompts.MARK: "true", prompts.TEXT: text, prompts.KIND: TEXT_PROMPT}
    source = "prompt-template"
    return versions.add(tx, site, name=name, source=source, storage=source, description=message, tags=marks)
