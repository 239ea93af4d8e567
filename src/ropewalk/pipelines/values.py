"""What steps give, as JSON trees with the large parts as blobs: the same value gives the same tree."""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import io
import math
from collections.abc import Callable
from pathlib import Path, PurePath
from types import FunctionType
from typing import Any, cast

from ropewalk.blobs.bucket import Bucket
from ropewalk.errors import Invalid
from ropewalk.pipelines import estimators
from ropewalk.pipelines.graph import REF, Tree, is_list, is_map
from ropewalk.pipelines.ownership import Ownership
from ropewalk.pipelines.pickles import dump, libraries_of, load
from ropewalk.pipelines.placeholder import Placeholder
from ropewalk.refs import canonical

BYTES_INLINE_MAX = 4096
DEPTH_MAX = 100
_TIMES: tuple[tuple[type, str], ...] = (
    (dt.datetime, "datetime"),
    (dt.date, "date"),
    (dt.time, "time"),
)


class Shelf:
    """Where values are kept and read: the blobs, with what is needed to judge pickles.

    Args:
        blobs: the large parts.
        owned: the project's own modules.
        code_of: returns code digests of the project's classes and functions that a value names.
        extra: further names that pickles may hold.

    Attributes:
        frames: facts of each frame that was kept since the list was last emptied.
    """

    def __init__(
        self,
        blobs: Bucket,
        owned: Ownership,
        code_of: Callable[[dict[str, Any]], dict[str, str]],
        extra: tuple[str, ...] = (),
    ) -> None:
        self.blobs = blobs
        self.owned = owned
        self.code_of = code_of
        self.extra = extra
        self.frames: list[dict[str, Any]] = []

    def encode(self, value: Any, depth: int = 0) -> Tree:  # noqa: ANN401, PLR0911 - any value
        """Return a value's tree; its large parts are durable among the blobs when this returns.

        Raises:
            Invalid: a part of it cannot be kept, or it is nested too deeply or within itself.
        """
        if depth > DEPTH_MAX:
            raise Invalid("value-too-deep", "A step's value is nested too deeply.", why=f"more than {DEPTH_MAX} levels")
        kind = cast("type[Any]", type(value))
        if value is None or kind in (bool, int, str):
            return _text(value) if isinstance(value, str) else value
        if kind is float:
            return value if math.isfinite(value) else {"$float": repr(value)}
        if kind is list:
            return [self.encode(item, depth + 1) for item in value]
        if kind is tuple:
            return {"$tuple": [self.encode(item, depth + 1) for item in value]}
        if kind is dict:
            return {
                "$dict": [[self.encode(key, depth + 1), self.encode(item, depth + 1)] for key, item in value.items()]
            }
        if kind is Placeholder:
            return {REF: value.path}
        return self._rare(value, kind, depth)

    def _rare(self, value: Any, kind: type, depth: int) -> Tree:  # noqa: ANN401, PLR0911 - any value
        if kind in (set, frozenset):
            items = sorted((self.encode(item, depth + 1) for item in value), key=canonical)
            return {f"${kind.__name__}": items}
        if kind is bytes:
            if len(value) <= BYTES_INLINE_MAX:
                return {"$bytes": base64.b64encode(value).decode()}
            return {"$blob": self.blobs.put(value)}
        if kind is complex:
            return {"$complex": [repr(value.real), repr(value.imag)]}
        if kind is decimal.Decimal:
            return {"$decimal": str(value)}
        if kind is dt.timedelta:
            return {"$timedelta": [value.days, value.seconds, value.microseconds]}
        for time, name in _TIMES:
            if kind is time and (name == "date" or value.tzinfo in (None, dt.UTC)) and not getattr(value, "fold", 0):
                return {f"${name}": value.isoformat()}
        if isinstance(value, PurePath) and kind.__module__.startswith("pathlib"):
            return {"$path": str(value)}
        return self._of_library(value, kind)

    def _of_library(self, value: Any, kind: type) -> Tree:  # noqa: ANN401 - any value
        top = kind.__module__.partition(".")[0]
        if top == "polars" and kind.__name__ in ("DataFrame", "LazyFrame", "Series"):
            return self._polars(value, kind.__name__)
        if top == "pandas" and kind.__name__ == "DataFrame":
            return self._pandas(value)
        if top == "numpy" and (kind.__name__ == "ndarray" or _is_numpy_scalar(value)):
            kept = self._numpy(value)
            if kept is not None:
                return kept
        if estimators.is_estimator(value):
            kept = self._skops(value)
            if kept is not None:
                return kept
        return self._pickle(value)

    def _skops(self, value: object) -> Tree | None:
        found = estimators.dump(value, self.owned, self.extra)
        if found is None:
            return None
        data, named = found
        return {"$skops": self.blobs.put(data), "libraries": libraries_of(named)}

    def _keep_frame(self, frame: object) -> str:
        from ropewalk.data.frames import write

        kept = write(self.blobs, frame)
        schema = [list(pair) for pair in kept.schema]
        facts = {
            "digest": kept.digest,
            "rows": kept.rows,
            "columns": kept.columns,
            "bytes": kept.bytes,
            "schema": schema,
        }
        self.frames.append(facts)
        return kept.digest

    def _polars(self, value: Any, kind: str) -> Tree:  # noqa: ANN401 - a polars object
        if kind == "Series":
            return {"$series": self._keep_frame(value.to_frame("values")), "name": value.name}
        return {"$frame": self._keep_frame(value), "of": "polars" if kind == "DataFrame" else "lazy"}

    def _pandas(self, value: Any) -> Tree:  # noqa: ANN401 - a pandas frame
        """Keep a pandas frame as Parquet where all of it comes back, as a pickle where it would lose something."""
        from ropewalk.data.frames import as_polars, to_pandas

        try:
            back = to_pandas(as_polars(value))
            same = back.dtypes.equals(value.dtypes) and back.index.equals(value.index) and back.equals(value)
            same = same and type(back.index) is type(value.index) and list(back.columns) == list(value.columns)
        except Exception:  # noqa: BLE001 - a type that Parquet has no word for: the pickle has
            same = False
        return {"$frame": self._keep_frame(value), "of": "pandas"} if same else self._pickle(value)

    def _numpy(self, value: Any) -> Tree | None:  # noqa: ANN401 - an array or a scalar
        import numpy as np

        if value.dtype.hasobject:
            return None
        file = io.BytesIO()
        np.save(file, value, allow_pickle=False)
        data = file.getvalue()
        shape = {"scalar": True} if not isinstance(value, np.ndarray) else {}
        if len(data) <= BYTES_INLINE_MAX:
            return {"$npy": base64.b64encode(data).decode(), **shape}
        return {"$npy_blob": self.blobs.put(data), **shape}

    def _pickle(self, value: Any) -> Tree:  # noqa: ANN401 - anything else
        """Keep a pickle, with the code of the project's classes in it: what they do is a part of the value."""
        data, named = dump(value, self.owned, self.extra)
        own = {
            name: found
            for name, found in named.items()
            if isinstance(found, type | FunctionType) and self.owned.owns(found.__module__)
        }
        libraries = libraries_of(name for name in named if name not in own)
        return {"$pickle": self.blobs.put(data), "code": self.code_of(own) if own else {}, "libraries": libraries}

    def decode(self, tree: Tree) -> Any:  # noqa: ANN401 - any value
        """Return the value of a tree, its blobs verified; every call makes new objects.

        Raises:
            NotFound: a blob is missing.
            Corrupt: a blob was changed, or a pickle names what it may not.
        """
        if is_list(tree):
            return [self.decode(item) for item in tree]
        if not is_map(tree):
            return tree
        tag = next(key for key in tree if key.startswith("$"))
        held = tree[tag]
        if tag in ("$tuple", "$set", "$frozenset"):
            make = {"$tuple": tuple, "$set": set, "$frozenset": frozenset}[tag]
            return make(self.decode(item) for item in held)
        if tag == "$dict":
            return {self.decode(key): self.decode(item) for key, item in held}
        if tag in _READERS:
            return _READERS[tag](held)
        return self._decode_kept(tag, held, tree)

    def _decode_kept(self, tag: str, held: Any, tree: dict[str, Any]) -> Any:  # noqa: ANN401 - any value
        if tag in ("$frame", "$series"):
            from ropewalk.data.frames import read, to_pandas

            frame = read(self.blobs, held)
            if tag == "$series":
                return frame["values"].rename(tree["name"])
            return {"polars": lambda: frame, "lazy": frame.lazy, "pandas": lambda: to_pandas(frame)}[tree["of"]]()
        if tag in ("$npy", "$npy_blob"):
            import numpy as np

            data = base64.b64decode(held) if tag == "$npy" else self.blobs.get(held)
            array = np.load(io.BytesIO(data), allow_pickle=False)
            return array[()] if tree.get("scalar") else array
        if tag == "$blob":
            return self.blobs.get(held)
        if tag == "$skops":
            return estimators.load(self.blobs.get(held), self.extra)
        assert tag == "$pickle", tag
        return load(self.blobs.get(held), self.owned, self.extra)


def _text(value: str) -> Tree:
    """Return text as it is, or its code points where UTF-8 cannot say it."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return {"$text": [ord(letter) for letter in value]}
    return value


def _is_numpy_scalar(value: object) -> bool:
    return any(kind.__name__ == "generic" and kind.__module__ == "numpy" for kind in type(value).__mro__)


_READERS: dict[str, Callable[[Any], Any]] = {
    "$float": float,
    "$complex": lambda held: complex(float(held[0]), float(held[1])),
    "$bytes": base64.b64decode,
    "$decimal": decimal.Decimal,
    "$timedelta": lambda held: dt.timedelta(*held),
    "$datetime": dt.datetime.fromisoformat,
    "$date": dt.date.fromisoformat,
    "$time": dt.time.fromisoformat,
    "$path": Path,
    "$text": lambda held: "".join(map(chr, held)),
}
