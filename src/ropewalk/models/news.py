"""What a change of the registry tells whoever listens: one event each, in the words of MLflow's webhooks."""

from __future__ import annotations

from collections.abc import Mapping

from ropewalk.models import prompts
from ropewalk.site import Site
from ropewalk.store.database import Transaction


def model_created(tx: Transaction, site: Site, name: str, tags: Mapping[str, str], description: str) -> None:
    """Tell of a new registered model, or of a new prompt."""
    if prompts.is_prompt(tags):
        kind, shown = "prompt.created", prompts.without_marks(tags)
    else:
        kind, shown = "registered_model.created", dict(tags)
    site.announce(tx, kind, f"model:{name}", {"name": name, "tags": shown, "description": description})


def version_created(
    tx: Transaction,
    site: Site,
    ref: tuple[str, int],
    tags: Mapping[str, str],
    *,
    source: str,
    run_id: str,
    description: str,
) -> None:
    """Tell of a new version of a model, or of a prompt."""
    body: dict[str, object] = {"name": ref[0], "version": str(ref[1]), "description": description or None}
    if prompts.is_prompt(tags):
        kind = "prompt_version.created"
        shown = prompts.without_marks(tags)
        body |= {"template": shown.pop(prompts.TEXT, None), "tags": shown}
    else:
        kind = "model_version.created"
        body |= {"source": source, "run_id": run_id or None, "tags": dict(tags)}
    site.announce(tx, kind, f"model:{ref[0]}/{ref[1]}", body)


def tag_changed(  # noqa: PLR0917 - what has changed, and how it is told
    tx: Transaction, site: Site, name: str, version: int, key: str, value: str | None, *, prompt: bool
) -> None:
    """Tell of a tag that was set, or taken away where there is no value; of a model's own tags only prompts' are told.

    Args:
        tx: the transaction of the change.
        site: the project.
        name: the registered model.
        version: its version, 0 for the model's own tag.
        key: the tag's key.
        value: what it holds now.
        prompt: whether the model is a prompt.
    """
    if not version and not prompt:
        return
    entity = ("prompt_version_tag" if version else "prompt_tag") if prompt else "model_version_tag"
    body = {"name": name, "key": key}
    if version:
        body["version"] = str(version)
    if value is not None:
        body["value"] = value
    where = f"model:{name}/{version}" if version else f"model:{name}"
    site.announce(tx, f"{entity}.{'deleted' if value is None else 'set'}", where, body)


def alias_moved(tx: Transaction, site: Site, name: str, alias: str, version: int, *, prompt: bool) -> None:
    """Tell of an alias that points at a version now, or at none with 0."""
    body = {"name": name, "alias": alias}
    if version:
        body["version"] = str(version)
    entity = "prompt_alias" if prompt else "model_version_alias"
    site.announce(tx, f"{entity}.{'created' if version else 'deleted'}", f"model:{name}@{alias}", body)
