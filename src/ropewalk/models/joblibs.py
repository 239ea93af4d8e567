"""Reads joblib's files by the same allow-list as pickles: arrays lie between the opcodes, objects inside arrays too."""

from __future__ import annotations

import io
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from ropewalk.errors import missing_extra
from ropewalk.models.formats import careful
from ropewalk.models.parts import unpacked

_WRAPPER = ("joblib.numpy_pickle", "NumpyArrayWrapper")


def load(data: bytes, allowed: Iterable[str] = ()) -> Any:  # noqa: ANN401 - a model of any library
    """Return what `joblib.dump` has written, compressed or not; call it confined.

    Args:
        data: the file.
        allowed: as for `formats.load`.

    Raises:
        Refused: it names something that is not allowed, or grows beyond what is unpacked.
        Missing: joblib is not installed.
    """
    try:
        numpy_pickle: Any = import_module("joblib.numpy_pickle")
    except ImportError:
        raise missing_extra("joblib", "formats") from None
    texts = tuple(allowed)

    class Wrapper(numpy_pickle.NumpyArrayWrapper):
        def read_array(self, unpickler: Any, *native: Any) -> Any:  # noqa: ANN401 - joblib's own signature
            if self.dtype.hasobject:  # before joblib 1.6 this was a plain `pickle.load`
                return careful(unpickler.file_handle, texts).load()
            plain: Any = super()
            return plain.read_array(unpickler, *native)

    class Reader(numpy_pickle.NumpyUnpickler):
        def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401
            if (module, name) == _WRAPPER:
                return Wrapper
            return careful(io.BytesIO(), texts).find_class(module, name)

        def persistent_load(self, pid: object) -> Any:  # noqa: ANN401
            return careful(io.BytesIO(), texts).persistent_load(pid)

    return Reader("", io.BytesIO(unpacked("model.joblib", data)), ensure_native_byte_order=False).load()
