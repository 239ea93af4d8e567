"""Where a model version may come from: a run, a logged model or another version of ours, and nothing else.

A source is only compared with what the store knows, and never opened: no path of this machine, no address of another,
and no `..` in any spelling gets past.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import unquote, urlsplit

from ropewalk.errors import Invalid, NotFound
from ropewalk.models import logged, registered, stages, versions
from ropewalk.models.spelling import URI_LETTERS_MAX, check_text
from ropewalk.runs import run as runs
from ropewalk.store.database import Reader

_REFUSED = frozenset({"", "file", "http", "https", "ftp", "data", "javascript"})
_MODEL_ID = re.compile(r"[^/@]+")
_UNQUOTES_MAX = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source that was looked up.

    Attributes:
        uri: what to keep as the source.
        storage: URI of where the files are.
        run_id: the run that made them, empty for none.
        logged_model: id of the logged model that they are of, empty for none.
    """

    uri: str
    storage: str
    run_id: str
    logged_model: str


def settle(reader: Reader, uri: str, *, run_id: str | None = None, logged_model: str | None = None) -> Source:
    """Return what a source means.

    Args:
        reader: where the rows are.
        uri: `runs:/RUN/PATH`, `models:/NAME/VERSION`, `models:/NAME@ALIAS`, `models:/m-ID`, or an artifact URI.
        run_id: the run that is said to have made it; None when nothing is said.
        logged_model: id of the logged model that it is said to be; None when nothing is said.

    Raises:
        Invalid: it is anything else, or not of the run or logged model that is named.
        NotFound: the model version that it names is not there.
    """
    check_text(uri, "source", URI_LETTERS_MAX)
    scheme, path = _taken_apart(uri)
    if scheme == "models":
        return _of_model(reader, uri, path, run_id, logged_model)
    if scheme == "runs":
        return _of_run(reader, uri, path, run_id, logged_model)
    if logged_model:
        model = _logged(reader, uri, logged_model)
        if not _lies_within(uri, model.location):
            _refuse(uri, f"it does not lie below {model.location}, where logged model {model.id} keeps its files")
        return Source(uri=uri, storage=uri, run_id=run_id or model.source_run, logged_model=model.id)
    if not run_id:
        _refuse(uri, "run_id or model_id must name the run or logged model that it is of")
    location = _run_location(reader, uri, run_id)
    if not _lies_within(uri, location):
        _refuse(uri, f"it does not lie below {location}, where run {run_id} keeps its artifacts")
    return Source(uri=uri, storage=uri, run_id=run_id, logged_model="")


def _taken_apart(uri: str) -> tuple[str, str]:
    """Return scheme and path of a URI that holds nothing to be wary of."""
    plain = uri
    for _ in range(_UNQUOTES_MAX):
        plain, before = unquote(plain.replace("+", " ")), plain.replace("+", " ")
        if plain == before:
            break
    else:
        _refuse(uri, "it is encoded over and over")
    if re.search(r"[\x00-\x1f\x7f\\]", plain) or any(part in ("..", ".") for part in re.split(r"[/;?#]", plain)):
        _refuse(uri, "it holds '.' or '..', a backslash or a control character")
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        _refuse(uri, str(error))
    scheme = parts.scheme.lower()
    if scheme in _REFUSED or len(scheme) == 1:
        _refuse(uri, "it is a path or an address, and the server opens neither")
    if parts.query or parts.fragment:
        _refuse(uri, "it has a query or a fragment")
    if scheme in ("runs", "models") and (parts.netloc or not parts.path.startswith("/")):
        _refuse(uri, f"it is written {scheme}:/ and names nothing of another server")
    return scheme, parts.path.lstrip("/")


def _of_run(reader: Reader, uri: str, path: str, run_id: str | None, logged_model: str | None) -> Source:
    named, _, rest = path.partition("/")
    if logged_model or not rest or named != run_id:
        _refuse(uri, "run_id must name the run that it is of, as in runs:/RUN_ID/PATH")
    _run_location(reader, uri, named)
    return Source(uri=uri, storage=uri, run_id=named, logged_model="")


def _of_model(reader: Reader, uri: str, path: str, run_id: str | None, logged_model: str | None) -> Source:
    if _MODEL_ID.fullmatch(path):
        if path != logged_model:
            _refuse(uri, "model_id must name the logged model that it is, as in models:/MODEL_ID")
        model = _logged(reader, uri, path)
        return Source(uri=uri, storage=model.location, run_id=run_id or model.source_run, logged_model=model.id)
    found = version_of(reader, uri, path)
    for given, own, word in ((run_id, found.run_id, "run_id"), (logged_model, found.logged_model, "model_id")):
        if given is not None and given != own:
            _refuse(uri, f"{word} must be the one of {found.ref}, which is {own!r}")
    if registered.is_prompt(reader, registered.get(reader, found.name)):
        _refuse(uri, "a prompt is no model")
    return Source(
        uri=f"models:/{found.name}/{found.version}",
        storage=found.storage,
        run_id=found.run_id,
        logged_model=found.logged_model,
    )


def version_of(reader: Reader, uri: str, path: str) -> versions.ModelVersion:
    """Return the version that `NAME/VERSION`, `NAME/STAGE` or `NAME@ALIAS` means now.

    Args:
        reader: where the rows are.
        uri: the whole address, for the error.
        path: what stands behind `models:/`.

    Raises:
        Invalid: it is none of these.
        NotFound: there is no such version.
    """
    name, slash, word = path.partition("/")
    if not slash:
        name, _, alias = name.rpartition("@")
        return stages.by_alias(reader, name, alias)
    if not name.strip() or not word.strip() or "/" in word:
        _refuse(uri, "a model is models:/NAME/VERSION, models:/NAME/STAGE, models:/NAME@ALIAS or models:/MODEL_ID")
    if word.isdigit() or word.lower() == versions.LATEST:
        return versions.resolve(reader, name, word.lower())
    found = stages.latest(reader, name, [word])
    if not found:
        raise NotFound("model-not-found", "No version is in this stage.", where=f"{name}/{word}"[:200])
    return found[0]


def _logged(reader: Reader, uri: str, model_id: str) -> logged.LoggedModel:
    try:
        return logged.get(reader, model_id)
    except NotFound:
        _refuse(uri, f"there is no logged model {model_id[:80]}")


def _run_location(reader: Reader, uri: str, run_id: str) -> str:
    try:
        return runs.get(reader, run_id).location
    except (NotFound, Invalid):
        _refuse(uri, f"there is no run {run_id[:80]}")


def _lies_within(uri: str, root: str) -> bool:
    """Say whether a URI names something below another, both taken part by part."""
    own, other = _parts(uri), _parts(root)
    return own[:2] == other[:2] and bool(other[2]) and own[2][: len(other[2])] == other[2]


def _parts(uri: str) -> tuple[str, str, tuple[str, ...]]:
    parts = urlsplit(uri)
    return parts.scheme.lower(), parts.netloc.lower(), tuple(unquote(one) for one in parts.path.split("/") if one)


def _refuse(uri: str, why: str) -> NoReturn:
    raise Invalid(
        "model-source-invalid",
        "Invalid model version source.",
        where=uri[:200],
        why=why,
        fix='mlflow.register_model("runs:/RUN_ID/PATH", NAME)',
    )
