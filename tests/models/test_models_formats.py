"""A model file is loaded by an allow-list, before and while it is read."""

import io
import pickle
import sys
import types
import zipfile
from datetime import date

import pytest

from ropewalk.errors import Refused
from ropewalk.models import formats, trust
from ropewalk.testing.evil import evil_pickles, honest

REACHING = {
    *(
        "eval",
        "exec",
        "open",
        "getattr",
        "setattr",
        "compile",
        "__import__",
        "system",
        "Popen",
        "load",
        "loads",
        "save",
    ),
    *(
        "fetch_openml",
        "load_svmlight_file",
        "fromfile",
        "memmap",
        "DataSource",
        "vectorize",
        "frompyfunc",
        "input",
        "type",
    ),
}


def test_no_evil_pickle_is_loaded(tmp_path):
    for evil in evil_pickles(tmp_path):
        with pytest.raises(Refused) as refused:
            formats.load("model.pkl", evil.data)

        assert refused.value.code == "model-not-trusted", evil.name
        assert not evil.mark.exists(), evil.name


def test_the_second_wall_refuses_each_of_them_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "scan_part", lambda part, data, allowed: ())

    for evil in evil_pickles(tmp_path):
        with pytest.raises((Refused, pickle.UnpicklingError)):
            formats.load("model.pkl", evil.data)
        assert not evil.mark.exists(), evil.name


def test_plain_values_and_allowed_classes_load():
    assert formats.load("model.pkl", honest())["names"] == ("a", "b")
    assert formats.load("model.pkl", pickle.dumps({date(2013, 9, 1)})) == {date(2013, 9, 1)}
    assert formats.load("model.pkl", pickle.dumps({frozenset("a")}, 2)) == {frozenset("a")}


def test_a_name_that_an_allowed_module_only_imports_is_refused(monkeypatch):
    module = types.ModuleType("own_code")
    exec(
        "from subprocess import Popen\nfrom os import system\nclass Own:\n    pass\ndef made():\n    pass",
        module.__dict__,
    )
    monkeypatch.setitem(sys.modules, "own_code", module)

    assert formats.load("model.pkl", b"cown_code\nOwn\n.", ["own_code.*"]) is module.Own
    assert formats.load("model.pkl", b"cown_code\nmade\n.", ["own_code.*"]) is module.made
    for name, home in (("Popen", "subprocess"), ("system", "posix")):
        with pytest.raises(Refused) as refused:
            formats.load("model.pkl", f"cown_code\n{name}\n.".encode(), ["own_code.*"])
        assert home in refused.value.why


def test_a_function_that_is_written_like_an_estimator_is_refused(monkeypatch):
    pytest.importorskip("sklearn")
    import sklearn.tree

    monkeypatch.setattr(sklearn.tree, "Grow", eval, raising=False)

    assert trust.Trust().allows("sklearn.tree", "Grow")
    with pytest.raises(Refused):
        formats.load("model.pkl", b"csklearn.tree\nGrow\n.")


def test_a_skops_file_with_a_stranger_inside_is_refused_before_skops_reads_it(late_model):
    data = formats.save_skops(late_model)
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b"sklearn.linear_model._logistic", b"subprocess"))

    assert formats.load("model.skops", data).predict
    with pytest.raises(Refused) as refused:
        formats.load("model.skops", out.getvalue())
    assert "subprocess.LogisticRegression" in refused.value.why


@pytest.mark.parametrize(
    "module", ["os", "subprocess", "builtins", "sklearn.utils", "sklearn.datasets", "joblib", "numpy"]
)
def test_the_defaults_allow_no_call_that_reaches_outside(module):
    import importlib

    found = importlib.import_module(module)
    allowed = {name for name in dir(found) if trust.Trust().allows(module, name)}

    assert not allowed & REACHING
