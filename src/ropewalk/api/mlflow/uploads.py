"""Files as MLflow's clients send them whole, and addresses at which they read them from the object store itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ropewalk.api.mlflow.artifacts import run_location, with_rows
from ropewalk.api.mlflow.message import Message
from ropewalk.api.mlflow.route import Action, Call, How, Route
from ropewalk.api.mlflow.transfer import header, take
from ropewalk.artifacts import artifact, native, paths, shown
from ropewalk.artifacts.artifact import Artifact
from ropewalk.endpoints.problems import Receive, Send, answer_json
from ropewalk.errors import Invalid, Missing
from ropewalk.store.database import Reader, Transaction

SMALL_BYTES_MAX = 10 << 20
LINK_SECONDS = 900


class RunFile(Message, frozen=True, kw_only=True):
    """Which file of which run."""

    run_uuid: str = ""
    path: str = ""


class Link(Message, frozen=True, kw_only=True, omit_defaults=False):
    """An address at which the bytes can be read for a while."""

    url: str
    headers: dict[str, str]
    file_size: int


class WantedLink(Message, frozen=True, kw_only=True):
    """Which file of which run, and for how many seconds."""

    run_id: str = ""
    model_id: str = ""
    path: str = ""
    expiration: int = LINK_SECONDS


class RunLink(Message, frozen=True, kw_only=True, omit_defaults=False):
    """An address at which the bytes can be read for a while."""

    presigned_url: str
    headers: dict[str, str]
    file_size: int


async def put(call: Call, receive: Receive, send: Send) -> None:
    """Keep a file; it can be seen when all of it is durable."""
    await _keep(call, receive, paths.checked(call.path["path"]), bytes_max=bytes_max(call))
    await answer_json(send, 200, {})


async def put_small(call: Call, receive: Receive, send: Send) -> None:
    """Keep a small file of a run, as the user interface sends it."""
    wanted = call.body
    if not wanted.run_uuid or not wanted.path:
        raise Invalid("request-malformed", "The run or the path is missing.", where="run_uuid, path")
    root = await with_rows(call, lambda rows: run_location(rows, wanted.run_uuid))
    await _keep(call, receive, paths.inside(root, wanted.path), bytes_max=min(SMALL_BYTES_MAX, bytes_max(call)))
    await answer_json(send, 200, {})


def bytes_max(call: Call) -> int:
    """Return the length of the largest file."""
    return call.house.settings.tracking.artifact_bytes_max


async def _keep(call: Call, receive: Receive, path: str, *, bytes_max: int) -> None:
    await with_rows(call, lambda rows: require_free(rows, call, path))
    got = await take(call, receive, bytes_max=bytes_max)
    media = header(call.scope, b"content-type")

    def name(tx: Transaction) -> None:
        native.require_foreign(tx, call.site.blobs, path)
        artifact.put(tx, call.site, path, got.digest, got.bytes, media, begun_us=got.begun_us)

    await asyncio.wrap_future(call.site.db.submit(name))


def require_free(reader: Reader, call: Call, path: str) -> None:
    """Pass only where a file may lie, so that a caller learns it before he sends all of it."""
    native.require_foreign(reader, call.site.blobs, path)
    artifact.require_place(reader, path)


def link(call: Call) -> Link:
    """Return an address at which a file can be read from the object store itself."""
    path = paths.checked(call.path["path"])
    with call.site.db.read() as rows:
        found = shown.get(rows, call.site.blobs, path)
    return Link(url=_signed(call, found, LINK_SECONDS), headers={}, file_size=found.bytes)


def link_of_run(call: Call) -> RunLink:
    """Return an address at which a file of a run can be read from the object store itself."""
    wanted = call.body
    if not 0 < wanted.expiration <= LINK_SECONDS:
        raise Invalid(
            "link-too-long",
            "A link cannot last so long.",
            where="expiration",
            why=f"found {wanted.expiration} seconds, wanted 1 to {LINK_SECONDS}",
            fix=f"ask for {LINK_SECONDS} seconds, and again when they are over",
        )
    with call.site.db.read() as rows:
        path = paths.inside(run_location(rows, wanted.run_id), paths.checked(wanted.path))
        found = shown.get(rows, call.site.blobs, path)
    return RunLink(presigned_url=_signed(call, found, wanted.expiration), headers={}, file_size=found.bytes)


def _signed(call: Call, found: Artifact, seconds: int) -> str:
    address = call.site.blobs.link(found.digest, seconds=seconds)
    if address is None:
        raise Missing(
            "artifact-link-unsupported",
            "Presigned download is not supported for the current artifact repository.",
            where=found.path[:200],
            why="the blobs lie in a folder of this server, which has no address of its own",
            fix="read the file through the server: GET /api/2.0/mlflow-artifacts/artifacts/PATH",
        )
    return address


def no_upload_link(_call: Call) -> Any:  # noqa: ANN401 - never returns
    """Say that a file is sent in parts, whose `complete` tells the server to read and name it."""
    raise Missing(
        "artifact-link-unsupported",
        "Presigned upload is not supported for the current artifact repository.",
        why="nobody would tell the server that the file is there: this call has no `complete`",
        fix="PUT /api/2.0/mlflow-artifacts/artifacts/PATH, or in parts: POST /api/2.0/mlflow-artifacts/mpu/create/PATH",
    )


def _row(
    method: str,
    path: str,
    work: Callable[..., Any],
    how: How,
    summary: str,
    *,
    action: Action = "write",
    **more: Any,  # noqa: ANN401
) -> Route:
    return Route(method=method, path=path, work=work, how=how, summary=summary, action=action, **more)


ROUTES = (
    _row("PUT", "/mlflow-artifacts/artifacts/{path:rest}", put, How.STREAM, "Send a file"),
    _row("POST", "/mlflow/upload-artifact", put_small, How.STREAM, "Send a small file of a run", body=RunFile),
    _row(
        "GET",
        "/mlflow-artifacts/presigned/{path:rest}",
        link,
        How.PLAIN,
        "Get an address of a file in the object store",
        result=Link,
        action="read",
    ),
    _row(
        "POST",
        "/mlflow/artifacts/presigned-download-url",
        link_of_run,
        How.PLAIN,
        "Get an address of a run's file in the object store",
        body=WantedLink,
        result=RunLink,
        action="read",
    ),
    _row(
        "POST",
        "/mlflow/artifacts/presigned-upload-url",
        no_upload_link,
        How.PLAIN,
        "Not offered: an address to write to the object store",
        body=WantedLink,
        result=RunLink,
    ),
)
