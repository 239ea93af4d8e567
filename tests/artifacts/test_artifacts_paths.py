"""Paths are logical names in one spelling; everything that could mean a file of some machine is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.artifacts import paths
from ropewalk.errors import Invalid

PLAIN = [
    "0/abc/artifacts/model/MLmodel",
    "a",
    "plots/ROC curve (final).png",
    "1/x/artifacts/ü/日本.txt",
    "100%/x",
    "a/...",
    "a/.hidden",
    "a;b/c",
    "a?b",
    "x" * 255,
]
BAD = [
    "",
    "/",
    "/etc/passwd",
    "//etc/passwd",
    "a//b",
    "a/",
    ".",
    "..",
    "a/./b",
    "a/../b",
    "../../etc/passwd",
    "..;/..;/etc/passwd",
    "a/.. /b",
    "..\\..\\x",
    "a\\b",
    "C:/windows/win.ini",
    "c:x",
    "a/C:",
    "a#b",
    "%2e%2e/x",
    "a/%2E./b",
    "a/%00",
    "%252e%252e/x",
    "a\x00b",
    "a\nb",
    "a\x1b[2J",
    "a\x7f",
    "a\u202ex",
    "a\u2028b",
    "\uff0e\uff0e/x",
    "a\uff0fb",
    "a\uff3cb",
    "\u2025/x",
    "\ud800",
    "x" * 256,
    "/".join("a" * 65),
    "a" * 300 + "/b",
    "/".join(["x" * 200] * 11),
]


@pytest.mark.parametrize("path", PLAIN)
def test_a_plain_path_stays_as_it_came(path):
    assert paths.checked(path) == path


@pytest.mark.parametrize("path", BAD, ids=ascii)
def test_what_is_not_plain_is_refused(path):
    with pytest.raises(Invalid) as caught:
        paths.checked(path)

    assert caught.value.code == "artifact-path-invalid"
    assert caught.value.where.isascii()


@given(st.text(max_size=60))
def test_a_path_that_passes_leads_nowhere_but_down(text):
    try:
        path = paths.checked(text)
    except Invalid:
        return

    assert not path.startswith("/")
    assert "\\" not in path
    assert not {"", ".", ".."} & set(path.split("/"))
    assert paths.checked(path) == path


@pytest.mark.parametrize(
    "uri",
    [
        "file:///etc",
        "s3://bucket/x",
        "http://evil/api/2.0/mlflow-artifacts/artifacts",
        "/etc",
        "mlflow-artifacts://evil/x",
        "mlflow-artifacts:/x?y",
        "mlflow-artifacts:/x#/../y",
        "mlflow-artifacts:/../../etc",
        "mlflow-artifacts:/",
        "",
    ],
)
def test_an_address_that_is_not_ours_is_never_opened(uri):
    with pytest.raises(Invalid):
        paths.of_uri(uri)


def test_an_address_of_ours_is_a_path_and_back():
    assert paths.of_uri("mlflow-artifacts:/1/abc/artifacts") == "1/abc/artifacts"
    assert paths.to_uri("1/abc/artifacts") == "mlflow-artifacts:/1/abc/artifacts"
