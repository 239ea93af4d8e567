"""Prompts ride on the registry: registered models with MLflow's marks, whose versions hold a text and no bytes."""

from __future__ import annotations

from collections.abc import Mapping

from ropewalk.errors import Invalid

MARK = "mlflow.prompt.is_prompt"
TEXT = "mlflow.prompt.text"
KIND = "_mlflow_prompt_type"
# What MLflow's clients send as the source of a prompt, which has none.
PLACEHOLDERS = frozenset({"dummy-source", "prompt-template"})


def is_prompt(tags: Mapping[str, str]) -> bool:
    """Say whether a model or version with these tags is a prompt."""
    return tags.get(MARK, "false").lower() == "true"


def without_marks(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags that people have set themselves, with the prompt's text."""
    return {key: value for key, value in tags.items() if key not in {MARK, KIND}}


def check_source(source: str) -> None:
    """Pass only what MLflow's clients send as the source of a prompt.

    Raises:
        Invalid: it is a URI, which a prompt must not smuggle in.
    """
    if source not in PLACEHOLDERS:
        raise Invalid(
            "model-source-invalid",
            "A prompt has no source.",
            where=source[:200],
            why=f"expected one of {', '.join(sorted(PLACEHOLDERS))}",
            fix="register it with mlflow.genai.register_prompt",
        )
