"""What a webhook can be told of, in MLflow's words, with an example of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ropewalk.errors import Invalid


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Event:
    """A kind of change.

    Attributes:
        entity: what changes, such as `model_version`.
        action: what becomes of it, such as `created`.
    """

    entity: str
    action: str

    @property
    def kind(self) -> str:
        """How the outbox calls it: `model_version.created`."""
        return f"{self.entity}.{self.action}"


_MODEL = {"name": "example_model"}
_MODEL_TAG = {**_MODEL, "version": "1", "key": "example_key"}
_MODEL_ALIAS = {**_MODEL, "alias": "example_alias"}
_PROMPT = {"name": "example_prompt"}
_PROMPT_TAG = {**_PROMPT, "key": "example_key"}
_PROMPT_ALIAS = {**_PROMPT, "alias": "example_alias"}
_TAGS = {"tags": {"example_key": "example_value"}}
_VALUE = {"value": "example_value"}
EXAMPLES: dict[str, dict[str, Any]] = {
    "registered_model.created": {**_MODEL, **_TAGS, "description": "An example model"},
    "model_version.created": {
        **_MODEL,
        **_TAGS,
        "version": "1",
        "source": "models:/m-0123456789abcdef",
        "run_id": "0123456789abcdef",
        "description": "An example version",
    },
    "model_version_tag.set": {**_MODEL_TAG, **_VALUE},
    "model_version_tag.deleted": _MODEL_TAG,
    "model_version_alias.created": {**_MODEL_ALIAS, "version": "1"},
    "model_version_alias.deleted": _MODEL_ALIAS,
    "prompt.created": {**_PROMPT, **_TAGS, "description": "An example prompt"},
    "prompt_version.created": {
        **_PROMPT,
        **_TAGS,
        "version": "1",
        "template": "Hello {{name}}!",
        "description": "An example prompt version",
    },
    "prompt_tag.set": {**_PROMPT_TAG, **_VALUE},
    "prompt_tag.deleted": _PROMPT_TAG,
    "prompt_version_tag.set": {**_PROMPT_TAG, **_VALUE, "version": "1"},
    "prompt_version_tag.deleted": {**_PROMPT_TAG, "version": "1"},
    "prompt_alias.created": {**_PROMPT_ALIAS, "version": "1"},
    "prompt_alias.deleted": _PROMPT_ALIAS,
    # Budgets belong to MLflow's gateway, which is not offered here: who listens hears nothing.
    "budget_policy.exceeded": {"budget_policy_id": "bp-0", "budget_unit": "USD", "budget_amount": 100.0},
}


def event_of(kind: str) -> Event:
    """Return the event that a word such as `model_version.created` names.

    Raises:
        Invalid: there is no such event.
    """
    if kind not in EXAMPLES:
        raise Invalid(
            "webhook-event-unknown",
            "A webhook cannot be told of this.",
            where=kind[:80],
            why=f"the events are {', '.join(EXAMPLES)}",
        )
    entity, _, action = kind.partition(".")
    return Event(entity=entity, action=action)
