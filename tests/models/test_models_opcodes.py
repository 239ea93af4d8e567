"""Model files are read by their opcodes, never run."""

import bz2
import gzip
import io
import json
import lzma
import pickle
import sys
import zipfile
import zlib
from pathlib import Path

import pytest

from ropewalk.models.opcodes import globals_of, scan_pickle
from ropewalk.models.parts import scan_part
from ropewalk.models.trust import Trust, project_modules
from ropewalk.testing.evil import call, evil_pickles, honest, whole


def test_every_evil_pickle_is_named_without_being_run(tmp_path: Path):
    for evil in evil_pickles(tmp_path):
        findings = scan_pickle(evil.data)

        assert findings, evil.name
        assert not evil.mark.exists(), evil.name


def test_the_finding_names_the_global_and_the_byte_where_it_stands():
    (finding,) = scan_pickle(whole(call("os", "system", "true")))

    assert (finding.name, finding.position) == ("os.system", 2)


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_pass_in_every_protocol(protocol: int):
    value = {"a": [1, 2.5, None, True], "b": ({"x"}, b"bytes", 1 << 80), "c": frozenset((1, 2))}

    assert scan_pickle(pickle.dumps(value, protocol)) == ()


def test_what_the_project_allows_passes_by_name_and_by_module():
    data = pickle.dumps(json.JSONDecodeError)

    assert scan_pickle(data)
    assert scan_pickle(data, ["json.decoder.JSONDecodeError"]) == ()
    assert scan_pickle(data, ["json.*"]) == ()
    assert scan_pickle(data, ["jso.*", "json.decoder.Other"])


def test_a_dotted_name_is_refused_even_below_an_allowed_module():
    assert not Trust(modules=frozenset({"own"}), names=frozenset({"own.os.system"})).allows("own", "os.system")


def test_numbers_of_the_extension_registry_and_persistent_ids_are_refused():
    for data in (b"\x80\x02\x82\x01.", b"\x80\x02X\x01\x00\x00\x00aQ.", b"Pname\n."):
        assert scan_pickle(data), data


def test_bytes_that_are_no_pickle_or_go_on_after_it_are_refused():
    for data in (b"", b"\x80\x04", b"hello", honest()[:-1], honest() + whole(call("os", "system", "true"))):
        assert scan_pickle(data), data


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zlib.compress])
def test_packed_pickles_are_unpacked_and_read(pack, tmp_path: Path):
    evil = evil_pickles(tmp_path)[0]

    assert scan_part("model.joblib", pack(evil.data))[0].name == "os.system"
    assert scan_part("model.joblib", pack(honest())) == ()
    assert scan_part("model.joblib", pack(honest())[:20])


def test_a_pickle_in_an_archive_in_an_archive_is_found(tmp_path: Path):
    inner = _zip({"data.pkl": evil_pickles(tmp_path)[0].data})

    (finding,) = scan_part("model.zip", _zip({"inner.zip": inner, "data.json": b"{}"}))

    assert (finding.name, finding.part) == ("os.system", "data.pkl")


def test_a_pickle_is_known_by_its_bytes_whatever_its_name(tmp_path: Path):
    assert scan_part("weights.onnx", pickle.dumps(print, 2))
    assert scan_part("notes.txt", b"just words") == ()


def test_arrays_of_pickled_objects_are_refused():
    np = pytest.importorskip("numpy")
    plain, objects = io.BytesIO(), io.BytesIO()
    np.save(plain, np.arange(3))
    np.save(objects, np.array([{}], dtype=object), allow_pickle=True)

    assert scan_part("a.npy", plain.getvalue()) == ()
    assert scan_part("a.npy", objects.getvalue())


def test_a_skops_file_that_names_a_stranger_or_binds_a_call_is_refused():
    evil = {"__class__": "system", "__module__": "posix", "__loader__": "FunctionNode"}
    bound = {"__class__": "dict", "__module__": "builtins", "__loader__": "MethodNode"}

    assert (
        scan_part("m.skops", _zip({"schema.json": json.dumps({"content": [evil]}).encode()}))[0].name == "posix.system"
    )
    assert scan_part("m.skops", _zip({"schema.json": json.dumps(bound).encode()}))
    assert scan_part("m.skops", _zip({"schema.json": json.dumps({"content": {}}).encode()})) == ()


def test_the_globals_of_a_pickle_are_listed_once_in_order():
    assert globals_of(pickle.dumps([json.JSONDecodeError, OSError, json.JSONDecodeError], 4)) == (
        "builtins.OSError",
        "json.decoder.JSONDecodeError",
    )


def test_a_project_cannot_pose_as_the_standard_library(tmp_path: Path):
    for name in ("os.py", "features.py", "not-a-name.py"):
        (tmp_path / name).write_text("")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")

    assert project_modules(tmp_path) == ("features.*", "package.*")


def test_scanning_imports_no_library_of_models():
    assert "ropewalk.models.opcodes" in sys.modules
    import subprocess

    code = "import sys, ropewalk.models.opcodes; print([n for n in ('numpy', 'sklearn', 'polars') if n in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def _zip(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()
