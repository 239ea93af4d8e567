"""What a data plane is given of a release, as one file in memory: its model, its contract, and how to answer for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any, cast

import msgspec

from ropewalk.blobs.folder import FolderBucket
from ropewalk.data.contract import from_json, to_json
from ropewalk.data.rows import row_checker
from ropewalk.endpoints.batching import Lane
from ropewalk.endpoints.columnar import compiled
from ropewalk.endpoints.served import Served, columns_of
from ropewalk.endpoints.switchboard import Warm
from ropewalk.models.manifest import ONNX_PART, Manifest
from ropewalk.models.predictor import Predictor, Prepared, prepare

PIECE_BYTES = 1 << 20
# An engine that takes longer for one row would keep the others of a turn waiting: it stays with its own processes.
ROW_SECONDS_MAX = 0.001
# Nor shall a body of many rows: where a row in a block takes longer, those stay there too.
BLOCK_ROW_SECONDS_MAX = 25e-6
PROBES, BLOCK_ROWS = 4, 64


def pack(served: Served, load: Mapping[str, object]) -> int:
    """Return an open file in memory with everything that a data plane needs of a release; the caller closes it.

    Args:
        served: the release.
        load: the load message of its workers.

    Raises:
        NotFound: the model has no ONNX form, or a blob is missing.
        Corrupt: a blob's bytes no longer match its digest.
        OSError: there is no room.
    """
    blobs = FolderBucket(Path(str(load["blobs"])))
    prepared = prepare(blobs, served.manifest, engine="onnx")
    goods = {
        "release": served.release,
        "bundle": served.bundle,
        "model": served.model,
        "version": served.version,
        "manifest_digest": served.manifest,
        "manifest": blobs.get(served.manifest),
        "contract": to_json(served.contract),
        "example": served.example,
        "onnx": prepared.data,
    }
    handle = os.memfd_create("ropewalk-release", os.MFD_CLOEXEC)
    try:
        left = memoryview(msgspec.msgpack.encode(goods))
        while left:
            left = left[os.write(handle, left[:PIECE_BYTES]) :]
    except BaseException:
        os.close(handle)
        raise
    return handle


class Stand:
    """A release that stands in a data plane.

    Attributes:
        served: the release.
        warm: the same, for what encodes answers; it has no lane.
        predictor: its model.
        row_seconds: what one row took, at best; 0 where no row was there to try.
        takes_blocks: whether many rows take so little time that others may wait for them.
    """

    def __init__(self, served: Served, predictor: Predictor) -> None:
        self.served = served
        self.warm = Warm(served=served, lane=cast("Lane", None))
        self.predictor = predictor
        self.row_seconds = self._tried(1)
        self.takes_blocks = self._tried(BLOCK_ROWS) <= BLOCK_ROW_SECONDS_MAX * BLOCK_ROWS

    def _tried(self, rows: int) -> float:
        """Ask for so many of the example a few times, which also warms everything up; return the least seconds."""
        row = self.served.example
        if not row or any(problem.strict for problem in self.served.check(row)):
            return 0.0
        took: list[float] = []
        for _ in range(PROBES):
            began = perf_counter()
            self.predictor.predict(columns_of(self.served, [row] * rows), rows)
            took.append(perf_counter() - began)
        return min(took)


def unpack(handle: int) -> Stand:
    """Return the release that an open file holds, ready to answer; call it confined.

    Raises:
        RopewalkError: the model cannot be loaded.
        MsgspecError: the file holds something else.
    """
    size = os.lseek(handle, 0, os.SEEK_END)
    goods: dict[str, Any] = msgspec.msgpack.decode(os.pread(handle, size, 0))
    manifest = msgspec.json.decode(goods["manifest"], type=Manifest)
    contract = from_json(goods["contract"])
    served = Served(
        release=goods["release"],
        bundle=goods["bundle"],
        manifest=goods["manifest_digest"],
        model=goods["model"],
        version=goods["version"],
        inputs=manifest.signature.inputs,
        outputs=manifest.signature.outputs,
        contract=contract,
        check=row_checker(contract),
        columnar=compiled(contract, manifest.signature.inputs),
        example=goods["example"],
        allow_pickle=False,
        code="",
    )
    prepared = Prepared(manifest=manifest, engine="onnx", part=ONNX_PART, data=goods["onnx"])
    return Stand(served, prepared.open())
