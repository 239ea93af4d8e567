"""What the console shows of all registered models and of all prompts: found by MLflow's filters, a page at a time."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request

from ropewalk.console.patch import between
from ropewalk.console.registry import LETTERS_SHOWN, address_of, one
from ropewalk.console.words import at
from ropewalk.errors import Invalid, NotFound
from ropewalk.house import House
from ropewalk.models import aliases, prompts, registered, search, versions
from ropewalk.models.registered import RegisteredModel
from ropewalk.store.database import Reader

ROWS_SHOWN = 50
CHIPS_SHOWN = 8
ONLY_PROMPTS = f"tags.`{prompts.MARK}` = 'true'"


def list_models(_house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Return what the page of registered models shows."""
    return {
        **_page(rows, request, ""),
        "heading": "Models",
        "here": "/models",
        "hint": "name LIKE 'flights%' and tags.team = 'ops'",
        "nothing": "No model is registered yet. A training registers one when it logs it under a name:",
        "snippet": _told(request, 'mlflow.sklearn.log_model(model, name="model", registered_model_name="flights")'),
    }


def list_prompts(_house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Return what the page of prompts shows."""
    return {
        **_page(rows, request, ONLY_PROMPTS),
        "heading": "Prompts",
        "here": "/prompts",
        "hint": "name LIKE 'answer%'",
        "nothing": "No prompt is registered yet. This keeps the first version of one:",
        "snippet": _told(
            request, 'mlflow.genai.register_prompt(name="answer", template="Answer shortly: {{question}}")'
        ),
    }


def _told(request: Request, line: str) -> str:
    server = str(request.base_url).rstrip("/")
    return f"export MLFLOW_TRACKING_URI={server}\n\nimport mlflow\n{line}"


def _page(rows: Reader, request: Request, only: str) -> dict[str, Any]:
    text, token = request.query_params.get("filter", "").strip(), request.query_params.get("after", "")
    problem, found, after = None, (), ""
    try:
        page = search.models(
            rows,
            " and ".join(part for part in (only, text) if part),
            order_by=("last_updated_timestamp DESC",),
            count=ROWS_SHOWN,
            token=token,
        )
        found, after = page.models, page.token
    except Invalid as error:
        problem = error
    here = "/prompts" if only else "/models"
    said = {"filter": text} if text else {}
    return {
        "text": text,
        "problem": problem,
        "models": [_row(rows, model, here) for model in found],
        "next": f"{here}?{urlencode({**said, 'after': after})}" if after else "",
        "first": f"{here}?{urlencode(said)}" if token else "",
    }


def _row(rows: Reader, model: RegisteredModel, home: str) -> dict[str, Any]:
    newest = versions.latest(rows, model.name)
    tags = prompts.without_marks(registered.tags(rows, model))
    return {
        "name": model.name,
        "address": address_of(model.name, home=home),
        "description": model.description[:LETTERS_SHOWN],
        "newest": newest.version if newest else 0,
        "aliases": [(item.alias, item.version) for item in aliases.of_model(rows, model.id)[:CHIPS_SHOWN]],
        "tags": [(key, value[:LETTERS_SHOWN]) for key, value in list(tags.items())[:CHIPS_SHOWN]],
        "changed": at(model.updated_us),
    }


def show_model(house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Return what a registered model's page shows.

    Raises:
        NotFound: there is no such model.
    """
    name = request.path_params["name"]
    return {
        **one(house, rows, name, request.query_params),
        "home_word": "Models",
        "comparison": None,
        "alias_snippet": f"mlflow.MlflowClient().set_registered_model_alias({name!r}, 'champion', 1)",
        "version_snippet": _told(
            request, f'mlflow.sklearn.log_model(model, name="model", registered_model_name={name!r})'
        ),
    }


def show_prompt(house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Return what a prompt's page shows, with the difference between two of its versions.

    Raises:
        NotFound: there is no such prompt.
    """
    name = request.path_params["name"]
    if not registered.is_prompt(rows, registered.get(rows, name)):
        raise NotFound("model-not-found", "There is no such prompt.", where=name, fix="see the models")
    return {
        **one(house, rows, name, request.query_params, home="/prompts"),
        "home_word": "Prompts",
        "comparison": _comparison(rows, name, request),
        "alias_snippet": f"mlflow.genai.set_prompt_alias({name!r}, 'production', 1)",
        "version_snippet": _told(request, f"mlflow.genai.register_prompt(name={name!r}, template=...)"),
    }


def _comparison(rows: Reader, name: str, request: Request) -> dict[str, Any] | None:
    found = {str(item.version): item for item in versions.list_versions(rows, name, count=ROWS_SHOWN)}
    if len(found) <= 1:
        return None
    numbers = list(found)
    b = request.query_params.get("to", numbers[0])
    a = request.query_params.get("from", numbers[1])
    a, b = a if a in found else numbers[1], b if b in found else numbers[0]
    before, after = (versions.tags(rows, found[one]).get(prompts.TEXT, "") for one in (a, b))
    return {
        "numbers": numbers,
        "a": a,
        "b": b,
        "patch": between(before, after, (f"version {a}", f"version {b}")),
    }
