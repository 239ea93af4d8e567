"""Batch scoring: the same confined worker that answers requests, asked for a whole frame."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ropewalk.clock import iso
from ropewalk.endpoints import frames
from ropewalk.endpoints.runtime import COMMAND, failure, worker_environment
from ropewalk.endpoints.served import code_folder
from ropewalk.errors import Invalid, Unavailable
from ropewalk.models.manifest import Field, files_of, read_manifest
from ropewalk.releases.bundle import read_bundle
from ropewalk.site import Site

if TYPE_CHECKING:
    import polars as pl

ROWS_A_MESSAGE = 2048
STOP_SECONDS_MAX = 5.0
# For the load, and for each message's rows: whoever waits here would wait for a hanging model for ever.
ANSWER_SECONDS_MAX = 300.0


def score(
    site: Site,
    bundle_digest: str,
    frame: pl.DataFrame,
    *,
    environment: str = "production",
    allowed: tuple[str, ...] = (),
) -> pl.DataFrame:
    """Return the outputs of a bundle for every row of a frame, in order: the bits that the endpoint would answer.

    Args:
        site: the project.
        bundle_digest: which bundle.
        frame: the model's columns; others are ignored, and one that may be empty may be left out.
        environment: whose configuration counts.
        allowed: globals that the model may import besides the defaults (`scan.globals`).

    Raises:
        Invalid: a column that the model needs is not in the frame.
        RopewalkError: the model could not be loaded, or failed on the rows.
    """
    bundle = read_bundle(site.blobs, bundle_digest)
    allow = bundle.environment(environment).allow_pickle
    return score_model(site, bundle.manifest, frame, code=bundle.code, allow_pickle=allow, allowed=allowed)


def score_model(
    site: Site,
    manifest_digest: str,
    frame: pl.DataFrame,
    *,
    code: str = "",
    engine: str = "auto",
    allow_pickle: bool = True,
    allowed: tuple[str, ...] = (),
) -> pl.DataFrame:
    """Return the outputs of a model for every row of a frame, in order.

    Args:
        site: the project.
        manifest_digest: which model.
        frame: the model's columns; others are ignored, and one that may be empty may be left out.
        code: digest of a code snapshot that the model may import from; empty for none.
        engine: `auto`, `onnx` or `native`.
        allow_pickle: whether a model of the pickle family may load.
        allowed: globals that the model may import besides the defaults.

    Raises:
        Invalid: a column that the model needs is not in the frame.
        RopewalkError: the model could not be loaded, or failed on the rows.
    """
    import polars as pl

    fields = read_manifest(site.blobs, manifest_digest).signature.inputs
    missing = [field.name for field in fields if field.name not in frame.columns and not field.nullable]
    if missing:
        raise Invalid(
            "columns-missing", "The frame lacks columns of the model.", why=f"missing: {', '.join(missing[:20])}"
        )
    load = load_of(site, manifest_digest, code=code, engine=engine, allow_pickle=allow_pickle, allowed=allowed)
    with confined(load) as connection:
        outputs = _ask(connection, frame, fields)
    return pl.DataFrame([pl.Series(name, values, strict=False) for name, values in outputs.items()])


def load_of(
    site: Site, manifest_digest: str, *, code: str, engine: str = "auto", allow_pickle: bool, allowed: tuple[str, ...]
) -> dict[str, object]:
    """Return the message that has a worker load a model; arguments as for `score_model`."""
    load: dict[str, object] = {
        "blobs": str(site.blobs.nearby(files_of(site.blobs, manifest_digest)).resolve()),
        "manifest": manifest_digest,
        "engine": engine,
        "allow_pickle": allow_pickle,
        "allowed": list(allowed),
    }
    if code:
        load["code_folder"] = str(code_folder(site.blobs, site.hidden, code).resolve())
    return load


def ask_columns(connection: socket.socket, columns: dict[str, list[Any]], rows: int) -> dict[str, list[Any]]:
    """Return the outputs of some rows by name.

    Args:
        connection: as `confined` gives it.
        columns: the model's, of so many values each.
        rows: how many; ROWS_A_MESSAGE at most.

    Raises:
        RopewalkError: the model failed on them; its process ended (`worker-died`).
    """
    frames.send(connection, {"op": "predict", "id": 1, "columns": columns, "rows": rows})
    answer = frames.receive(connection)
    if answer is None or answer.get("error"):
        raise failure(answer)
    return answer["outputs"]


def _ask(connection: socket.socket, frame: pl.DataFrame, fields: tuple[Field, ...]) -> dict[str, list[Any]]:
    """Return the outputs of a frame that is sent in pieces; an empty one is sent too, for the outputs' names."""
    outputs: dict[str, list[Any]] = {}
    for at in range(0, max(frame.height, 1), ROWS_A_MESSAGE):
        piece = frame.slice(at, ROWS_A_MESSAGE)
        empty: list[Any] = [None] * piece.height
        columns = {
            field.name: _values(piece.get_column(field.name), field) if field.name in piece.columns else empty
            for field in fields
        }
        for name, values in ask_columns(connection, columns, piece.height).items():
            outputs.setdefault(name, []).extend(values)
    return outputs


def _values(column: pl.Series, field: Field) -> list[Any]:
    """Return a column as a request would say it: times as text, whole numbers as floats where floats are wanted."""
    values: list[Any] = column.to_list()
    if field.type == "float":
        return [value if value is None else float(value) for value in values]
    if field.type == "datetime":
        return [_text(value) if isinstance(value, datetime) else value for value in values]
    return values


def _text(at: datetime) -> str:
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return iso(int(at.replace(microsecond=0).timestamp()) * 1_000_000 + at.microsecond)


@contextmanager
def confined(load: dict[str, object]) -> Generator[socket.socket]:
    """Start a worker, have it load the model, and end it with the block.

    Args:
        load: as `load_of` gives it.

    Raises:
        Unavailable: it did not load or answer in time, or ended in the middle of a message.
        RopewalkError: it could not load the model.
    """
    ours, theirs = socket.socketpair()
    ours.settimeout(ANSWER_SECONDS_MAX)
    with tempfile.TemporaryFile() as words, ours:
        with theirs:
            process = subprocess.Popen(
                [*COMMAND, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stderr=words,
                env=worker_environment(),
            )
        try:
            frames.send(ours, {"op": "load", "id": 0, "code_folder": "", **load})
            answer = frames.receive(ours)
            if answer is None or answer.get("error"):
                words.seek(0, os.SEEK_SET)
                raise failure(answer, words.read().decode("utf-8", "replace").strip())
            yield ours
        except TimeoutError as error:
            process.kill()
            raise too_slow() from error
        except (BrokenPipeError, ConnectionResetError) as error:
            raise died() from error
        finally:
            with suppress(OSError):
                frames.send(ours, {"op": "stop"})
            try:
                process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def too_slow() -> Unavailable:
    """Return the error of a model that hangs."""
    return Unavailable("worker-too-slow", "The model did not answer in time.", why=f"waited {ANSWER_SECONDS_MAX:g} s")


def died() -> Unavailable:
    """Return the error of a worker that went away while it was asked."""
    return Unavailable("worker-died", "The model's process ended.", fix="run the same command again")
