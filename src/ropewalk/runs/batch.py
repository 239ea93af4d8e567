"""What clients log to a run over the protocol, each call in one transaction: all of it is kept or nothing.

Values of parameters and tags that are too long are cut, as MLflow's server does.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

from ropewalk.errors import Invalid, NotFound
from ropewalk.runs import points, remote
from ropewalk.runs.keys import PARAM_LETTERS_MAX, TAG_LETTERS_MAX, check_key, check_tag_key, check_text, cut
from ropewalk.runs.log import LogEntry, changed
from ropewalk.runs.states import NAME_TAG, PARENT_TAG
from ropewalk.site import Site
from ropewalk.store.database import Transaction

METRICS_MAX = 1000
TEXTS_MAX = 100
ENTITIES_MAX = 1000
MODELS_TAG = "mlflow.log-model.history"
_MODEL_WORDS = ("artifact_path", "flavors", "utc_time_created", "run_id")
Pair = tuple[str, str]


def log_metrics(tx: Transaction, site: Site, run_id: str, logged: Sequence[points.Point]) -> None:
    """Keep points of metrics; one that is there already, in all of its parts, stays alone.

    Args:
        tx: the transaction; the caller owns the commit.
        site: the project.
        run_id: which run.
        logged: name, value, milliseconds since the epoch and step of each.

    Raises:
        Invalid: a name or a number is none, or the run is deleted.
        NotFound: there is no such run.
    """
    checked = [points.check_point(*one) for one in logged]
    found = remote.target(tx, site, run_id, [point[0] for point in checked], counts=True)
    if checked:
        points.write(tx, found.owner, "", checked, known=found.known)


def log_params(tx: Transaction, site: Site, run_id: str, params: Sequence[Pair]) -> None:
    """Keep parameters; each keeps its first value, which may be said again.

    Raises:
        Invalid: a name is none, or the run is deleted.
        Conflict: a parameter has another value already; nothing was changed.
        NotFound: there is no such run.
    """
    checked = [_param(key, value) for key, value in params]
    _write_params(tx, remote.target(tx, site, run_id, counts=True).owner, checked)


def set_tags(tx: Transaction, site: Site, run_id: str, tags: Sequence[Pair], *, by_client: bool = True) -> None:
    """Set tags; a later value takes the place of an earlier one. The tag of the name renames the run.

    Who sets them says by `by_client` whether he is the run's own client, which then lives.

    Raises:
        Invalid: a key is none, or the run is deleted.
        NotFound: there is no such run.
    """
    checked = [_tag(key, value) for key, value in tags]
    _write_tags(tx, site, remote.target(tx, site, run_id, by_client=by_client), checked)


def delete_tag(tx: Transaction, site: Site, run_id: str, key: str, *, by_client: bool = True) -> None:
    """Take a tag away; `by_client` says whether the run's own client does, which then lives.

    Raises:
        Invalid: the run is deleted.
        NotFound: there is no such run, or it has no such tag.
    """
    found = remote.target(tx, site, run_id, by_client=by_client)
    if not tx.run("runs.untag", run=found.number, key=key):
        raise NotFound("tag-not-found", "The run has no such tag.", where=f"run:{found.id} {key[:80]}")
    if key == remote.BEAT_TAG:
        remote.promise(tx, site, run_id, "")
    if key == PARENT_TAG:
        tx.run("runs.nest", number=found.number, parent="")


def log_batch(
    tx: Transaction,
    site: Site,
    run_id: str,
    *,
    metrics: Sequence[points.Point] = (),
    params: Sequence[Pair] = (),
    tags: Sequence[Pair] = (),
) -> None:
    """Keep metrics, parameters and tags at once.

    Args:
        tx: the transaction; the caller owns the commit.
        site: the project.
        run_id: which run.
        metrics: at most 1,000; name, value, milliseconds and step of each.
        params: at most 100, each name once.
        tags: at most 100; with the others at most 1,000.

    Raises:
        Invalid: there are too many, one is none, or the run is deleted.
        Conflict: a parameter has another value already.
        NotFound: there is no such run.
    """
    _check_limits(len(metrics), len(params), len(tags))
    checked = points.check_points(metrics)
    texts, labels = [_param(*one) for one in params], [_tag(*one) for one in tags]
    keys = [key for key, _ in texts]
    if len(set(keys)) < len(keys):
        twice = sorted({key for key in keys if keys.count(key) > 1})
        raise Invalid(
            "params-twice",
            "A batch names a parameter twice.",
            where="params",
            why=", ".join(twice)[:200],
            fix="name each once",
        )
    found = remote.target(tx, site, run_id, [point[0] for point in checked], counts=bool(checked or texts))
    _write_params(tx, found.owner, texts)
    if checked:
        points.write(tx, found.owner, "", checked, known=found.known)
    _write_tags(tx, site, found, labels)


def log_model(tx: Transaction, site: Site, run_id: str, model_json: str) -> None:
    """Note on a run, in a tag, a model that was logged with it, as clients before MLflow 3 do.

    Raises:
        Invalid: this is no description of a model, the tag becomes too long, or the run is deleted.
        NotFound: there is no such run.
    """
    try:
        parsed: object = json.loads(model_json)
    except (ValueError, RecursionError) as error:
        raise _malformed_model("it is not JSON") from error
    if not isinstance(parsed, dict):
        raise _malformed_model("it is no object")
    model = cast("dict[str, Any]", parsed)
    lacking = [word for word in _MODEL_WORDS if word not in model]
    if lacking:
        raise _malformed_model(f"it lacks {', '.join(lacking)}")
    found = remote.target(tx, site, run_id)
    earlier = tx.value("runs.tag_of", run=found.number, key=MODELS_TAG)
    told = [*_listed(earlier), model]
    text = check_text("tag", MODELS_TAG, json.dumps(told), TAG_LETTERS_MAX)
    tx.run("runs.tag", **found.owner.row(MODELS_TAG, ""), value=text)


def _listed(text: object) -> list[Any]:
    """Return what the tag holds; somebody may have set it to anything."""
    try:
        found: object = json.loads(str(text)) if text else []
    except (ValueError, RecursionError):
        return []
    return cast("list[Any]", found) if isinstance(found, list) else []


def _malformed_model(why: str) -> Invalid:
    return Invalid("model-info-malformed", "This does not describe a model.", where="model_json", why=why)


def _param(key: str, value: str) -> Pair:
    return check_key(key), cut(value, PARAM_LETTERS_MAX)


def _tag(key: str, value: str) -> Pair:
    return check_tag_key(key), cut(value, TAG_LETTERS_MAX)


def _write_params(tx: Transaction, owner: points.Owner, params: Sequence[Pair]) -> None:
    for key, value in params:
        if not tx.run("runs.param", **owner.row(key, ""), value=value):
            said = str(tx.value("runs.param_of", run=owner.number, key=key, node=""))
            if said != value:
                raise changed(LogEntry(kind="param", key=key, value=value), said)


def _write_tags(tx: Transaction, site: Site, found: remote.Target, tags: Sequence[Pair]) -> None:
    for key, value in dict(tags).items():
        if key == NAME_TAG:
            if value:
                remote.update(tx, site, found.id, name=value)
            continue
        if key == remote.BEAT_TAG:
            remote.promise(tx, site, found.id, value)
        if key == PARENT_TAG:
            tx.run("runs.nest", number=found.number, parent=value)
        tx.run("runs.tag", **found.owner.row(key, ""), value=value)


def _check_limits(metrics: int, params: int, tags: int) -> None:
    for what, count, most in (
        ("metrics", metrics, METRICS_MAX),
        ("params", params, TEXTS_MAX),
        ("tags", tags, TEXTS_MAX),
        ("metrics, params and tags", metrics + params + tags, ENTITIES_MAX),
    ):
        if count > most:
            raise Invalid(
                "batch-too-large",
                f"A batch can contain at most {most} {what}.",
                where=what,
                why=f"found {count:,}",
                fix="send several batches",
            )
