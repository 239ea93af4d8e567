"""What steps print: a file while they run, bounded and kept with the run when they end."""

from __future__ import annotations

import os
from pathlib import Path

from ropewalk.blobs.bucket import Bucket
from ropewalk.records import frozen
from ropewalk.refs import is_digest
from ropewalk.store.database import Reader

BYTES_MAX = 1 << 20
INLINE_BYTES_MAX = 4 << 10
CUT = b"\n... %d bytes are left out here ...\n"


@frozen
class StepLog:
    """What one step printed.

    Attributes:
        node: the step.
        content: the text, or the digest of the blob that holds it.
        bytes: how much it printed; more than is kept where it was much.
    """

    node: str
    content: str
    bytes: int

    def text(self, blobs: Bucket) -> str:
        """Return what is kept of it.

        Raises:
            NotFound: its blob is gone.
        """
        return blobs.get(self.content).decode(errors="replace") if is_digest(self.content) else self.content


def kept(blobs: Bucket, path: Path) -> tuple[str, int] | None:
    """Return a finished step's log as it is stored and its bytes; None where it printed nothing.

    Of a long one the beginning and the end are kept, and the file is cut to the same.
    """
    try:
        size = path.stat().st_size
    except OSError:
        return None
    if not size:
        return None
    with path.open("rb") as file:
        data = file.read(BYTES_MAX // 2 if size > BYTES_MAX else BYTES_MAX)
        if size > BYTES_MAX:
            file.seek(-(BYTES_MAX // 2), os.SEEK_END)
            data += CUT % (size - BYTES_MAX) + file.read()
    if size > BYTES_MAX:
        part = path.with_suffix(".part")
        part.write_bytes(data)
        part.replace(path)
    text = data.decode(errors="replace")
    short = len(data) <= INLINE_BYTES_MAX and "\0" not in text
    return (text if short else blobs.put(data)), size


def logs_of(reader: Reader, run_id: str) -> dict[str, StepLog]:
    """Return the kept logs of a run by node."""
    return {log.node: log for log in reader.all(StepLog, "pipelines.logs_of_run", run_id=run_id)}
