"""Rows in columns: Parquet and Arrow files, of which any slice is read without the rows before it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ropewalk.batches.pieces import Piece, Survey, records_of
from ropewalk.data.contract import Contract
from ropewalk.errors import Invalid
from ropewalk.refs import digest_of_file

if TYPE_CHECKING:
    import polars as pl

ENDINGS = (".parquet", ".arrow")


class Table:
    """A Parquet or an Arrow file.

    Args:
        path: the file.
        ending: which of `ENDINGS` it is.
        contract: what a row must be.

    Raises:
        Invalid: the bytes are another format.
    """

    def __init__(self, path: Path, ending: str, contract: Contract) -> None:
        import polars as pl

        self.path = path
        self._lazy = pl.scan_parquet(path) if ending == ".parquet" else pl.scan_ipc(path)
        self._names = tuple(column.name for column in contract.inputs)
        try:
            self._schema = self._lazy.collect_schema()
        except pl.exceptions.PolarsError as error:
            raise broken(path, str(error).splitlines()[0]) from error

    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns."""
        return tuple(self._schema)

    def survey(self) -> Survey:
        """Return digest and number of rows."""
        import polars as pl

        rows = int(self._read(self._lazy.select(pl.len())).item())
        return Survey(digest=digest_of_file(self.path), rows=rows, kinds={})

    def pieces(self, survey: Survey, first: int, size: int) -> Iterator[Piece]:
        """Yield slices."""
        for at in range(first, survey.rows, size):
            frame = self._read(self._lazy.slice(at, min(size, survey.rows - at)))
            yield Piece(first=at, records=records_of(frame, self._names), frame=frame)

    def _read(self, lazy: pl.LazyFrame) -> pl.DataFrame:
        import polars as pl

        try:
            return lazy.collect()
        except pl.exceptions.PolarsError as error:
            raise broken(self.path, str(error).splitlines()[0]) from error


def broken(path: Path, why: str) -> Invalid:
    """Return the error of a file that is not what its name says."""
    return Invalid("data-file-broken", "The file could not be read.", where=path.name, why=why[:300])
