"""Files as MLflow's clients list, read and delete them, below the paths of runs, logged models and traces."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType
from starlette.concurrency import run_in_threadpool

from ropewalk.api.mlflow.message import Message, Nothing
from ropewalk.api.mlflow.route import Call, How, Route
from ropewalk.api.mlflow.transfer import give
from ropewalk.artifacts import artifact, native, paths, shown
from ropewalk.artifacts.artifact import Entry
from ropewalk.endpoints.problems import Receive, Send
from ropewalk.errors import Invalid
from ropewalk.models import logged, versions
from ropewalk.refs import canonical, digest_of
from ropewalk.runs import run as runs
from ropewalk.store.database import Reader, Transaction

T = TypeVar("T")
PAGE_FILES = 10_000
VERSION_DIGITS_MAX = 10
OF_RUN = "runs:/"


class FileInfo(Message, frozen=True, kw_only=True, omit_defaults=False):
    """A file or a folder.

    Attributes:
        path: its name, or its path below what was listed.
        is_dir: whether it is a folder.
        file_size: length of a file in bytes.
    """

    path: str
    is_dir: bool
    file_size: int | UnsetType = UNSET


class ListArtifacts(Message, frozen=True, kw_only=True):
    """Whose files, and below which path."""

    run_id: str = ""
    run_uuid: str = ""
    path: str = ""
    page_token: str = ""


class ListedArtifacts(Message, frozen=True, kw_only=True):
    """What lies there."""

    root_uri: str = ""
    files: list[FileInfo] = msgspec.field(default_factory=list[FileInfo])
    next_page_token: str = ""


class ListFolder(Message, frozen=True, kw_only=True):
    """Below which path."""

    path: str = ""


class ListedFolder(Message, frozen=True, kw_only=True, omit_defaults=False):
    """What lies there."""

    files: list[FileInfo] = msgspec.field(default_factory=list[FileInfo])


class RunFile(Message, frozen=True, kw_only=True):
    """Which file of which run."""

    run_id: str = ""
    run_uuid: str = ""
    path: str = ""


class VersionFile(Message, frozen=True, kw_only=True):
    """Which file of which model version."""

    name: str
    version: str
    path: str


class ModelFile(Message, frozen=True, kw_only=True):
    """Which file of a logged model."""

    artifact_file_path: str = ""


def list_run(reader: Reader, call: Call) -> ListedArtifacts:
    """List what a run keeps in one of its folders, 10,000 at a time."""
    root = run_location(reader, call.body.run_id or call.body.run_uuid)
    return list_location(reader, call, root, call.body.path, call.body.page_token)


def list_location(reader: Reader, call: Call, root: str, path: str, token: str = "") -> ListedArtifacts:
    """List a folder of a location, such as a logged model's, with paths below the location.

    Args:
        reader: where the rows are.
        call: the request.
        root: the location's path, as `paths.of_uri` gives it.
        path: the folder below it; empty for the location itself.
        token: of the page before.

    Raises:
        Invalid: the path is not plain, or the token belongs to another list.
    """
    after = _after(token, root, path)
    found = [one for one in shown.entries(reader, call.site.blobs, paths.inside(root, path)) if one.name > after]
    page = found[:PAGE_FILES]
    return ListedArtifacts(
        root_uri=paths.to_uri(root),
        files=[_info(one, f"{path}/" if path else "") for one in page],
        next_page_token=_token(page[-1].name, root, path) if len(found) > PAGE_FILES else "",
    )


def run_location(reader: Reader, run_id: str) -> str:
    """Return the path below which a run's files lie.

    Raises:
        Invalid: no run is named, or its files lie elsewhere.
        NotFound: there is no such run.
    """
    if not run_id:
        raise Invalid("request-malformed", "The run is missing.", where="run_id", fix="name the run")
    return paths.of_uri(runs.get(reader, run_id).location)


def list_folder(reader: Reader, call: Call) -> ListedFolder:
    """List what lies in a folder, all of it, by bare names."""
    path = call.body.path.rstrip("/")
    folder = paths.checked(path) if path else ""
    return ListedFolder(files=[_info(one, "") for one in shown.entries(reader, call.site.blobs, folder)])


def _info(one: Entry, above: str) -> FileInfo:
    size = UNSET if one.bytes is None else one.bytes
    return FileInfo(path=f"{above}{one.name}", is_dir=one.is_folder, file_size=size)


def _token(last: str, root: str, path: str) -> str:
    return base64.urlsafe_b64encode(canonical([last, digest_of(f"{root}/{path}".encode())])).decode()


def _after(token: str, root: str, path: str) -> str:
    if not token:
        return ""
    try:
        last, digest = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, TypeError, RecursionError):
        last, digest = "", ""
    if not last or not isinstance(last, str) or digest != digest_of(f"{root}/{path}".encode()):
        raise Invalid(
            "token-invalid",
            "The page token is not valid.",
            why="it is not one of ours, or belongs to another list",
            fix="list again without a token",
        )
    return last


async def download(call: Call, receive: Receive, send: Send) -> None:
    """Send a file."""
    await send_file(call, receive, send, call.path["path"])


async def send_file(call: Call, receive: Receive, send: Send, path: str) -> None:
    """Send the file at a path, or the part of it that was asked for.

    Raises:
        Invalid: the path is not plain, or is a folder.
        NotFound: nothing lies there.
    """
    path = paths.checked(path)
    await give(call, receive, send, await with_rows(call, lambda rows: shown.get(rows, call.site.blobs, path)))


async def download_of_run(call: Call, receive: Receive, send: Send) -> None:
    """Send a file of a run."""
    wanted = call.body
    root = await with_rows(call, lambda rows: run_location(rows, wanted.run_id or wanted.run_uuid))
    await send_file(call, receive, send, paths.inside(root, _named(wanted.path)))


async def download_of_version(call: Call, receive: Receive, send: Send) -> None:
    """Send a file of a model version."""
    wanted = call.body
    root = await with_rows(call, lambda rows: _version_location(rows, wanted.name, wanted.version))
    await send_file(call, receive, send, paths.inside(root, _named(wanted.path)))


def _version_location(reader: Reader, name: str, version: str) -> str:
    if not (version.isascii() and version.isdigit() and len(version) < VERSION_DIGITS_MAX):
        raise Invalid("request-malformed", "A version is a number.", where="version", why=f"found {version[:80]!r}")
    storage = versions.get(reader, name, int(version)).storage
    run_id, _, path = storage.removeprefix(OF_RUN).partition("/")
    if storage.startswith(OF_RUN):
        return paths.inside(run_location(reader, run_id), path)
    return paths.of_uri(storage)


async def download_of_model(call: Call, receive: Receive, send: Send) -> None:
    """Send a file of a logged model."""
    root = await with_rows(call, lambda rows: paths.of_uri(logged.get(rows, call.path["model_id"]).location))
    await send_file(call, receive, send, paths.inside(root, _named(call.body.artifact_file_path)))


def _named(path: str) -> str:
    if not path:
        raise Invalid("request-malformed", "The file is missing.", where="path", fix="name the file")
    return path


async def with_rows(call: Call, work: Callable[[Reader], T]) -> T:
    """Return what the work makes of one consistent view, in a thread."""

    def read() -> T:
        with call.site.db.read() as rows:
            return work(rows)

    return await run_in_threadpool(read)


def delete(tx: Transaction, call: Call) -> Nothing:
    """Delete a file, or a folder with all that is in it; what is not there is deleted already."""
    path = paths.checked(call.path["path"])
    native.require_foreign(tx, call.site.blobs, path)
    artifact.remove(tx, path)
    return Nothing()


def _streamed(method: str, path: str, work: Callable[..., Any], summary: str, **more: Any) -> Route:  # noqa: ANN401 - a route's own words
    return Route(method=method, path=path, work=work, how=How.STREAM, action="read", summary=summary, **more)


_FILE = "/mlflow-artifacts/artifacts/{path:rest}"
ROUTES = (
    Route(
        method="GET",
        path="/mlflow/artifacts/list",
        work=list_run,
        how=How.READ,
        body=ListArtifacts,
        result=ListedArtifacts,
        action="read",
        summary="List the files of a run",
    ),
    Route(
        method="GET",
        path="/mlflow-artifacts/artifacts",
        work=list_folder,
        how=How.READ,
        body=ListFolder,
        result=ListedFolder,
        action="read",
        summary="List the files below a path",
    ),
    _streamed("GET", _FILE, download, "Read a file"),
    _streamed("HEAD", _FILE, download, "Read a file's length and digest"),
    Route(
        method="DELETE",
        path=_FILE,
        work=delete,
        how=How.WRITE,
        result=Nothing,
        action="write",
        summary="Delete a file or a folder",
    ),
    _streamed("GET", "/get-artifact", download_of_run, "Read a file of a run", body=RunFile, bare=True),
    _streamed(
        "GET",
        "/model-versions/get-artifact",
        download_of_version,
        "Read a file of a model version",
        body=VersionFile,
        bare=True,
    ),
    _streamed(
        "GET",
        "/mlflow/logged-models/{model_id}/artifacts/files",
        download_of_model,
        "Read a file of a logged model",
        body=ModelFile,
    ),
)
