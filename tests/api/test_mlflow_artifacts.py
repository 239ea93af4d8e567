"""Files at MLflow's door: sent, listed, read in parts, deleted; what is not plain changes nothing."""

import base64

import pytest

from artifacts_door import Door
from ropewalk.refs import digest_of
from ropewalk.runs import keep
from ropewalk.runs import run as runs
from ropewalk.runs.log import LogEntry

ROOT = "/api/2.0/mlflow-artifacts/artifacts"
RUN = f"{ROOT}/1/0123456789abcdef0123456789abcdef/artifacts"


@pytest.fixture
def door(site):
    return Door(site)


def names(answer):
    return [(one["path"], one["is_dir"], one.get("file_size")) for one in answer.json()["files"]]


def test_a_file_that_was_sent_is_listed_and_read(door):
    assert door("PUT", f"{RUN}/plots/roc.png", b"pixels", headers=[("content-type", "image/png")]).status == 200
    assert door("PUT", f"{RUN}/MLmodel", b"").json() == {}

    got = door("GET", f"{RUN}/plots/roc.png")
    listing = door("GET", f"{ROOT}?path=1/0123456789abcdef0123456789abcdef/artifacts")

    assert (got.status, got.body, got.headers["content-type"]) == (200, b"pixels", "image/png")
    assert names(listing) == [("MLmodel", False, 0), ("plots", True, None)]
    assert names(door("GET", f"{ROOT}?path=1/0123456789abcdef0123456789abcdef/artifacts/plots")) == [
        ("roc.png", False, 6)
    ]
    assert names(door("GET", ROOT)) == [("1", True, None)]
    assert door("GET", f"{RUN}/MLmodel").body == b""


def test_a_browser_is_never_given_a_file_to_show(door):
    door(
        "PUT", f'{RUN}/a";b\u00fc.html'.encode().decode("latin-1"), b"<script>", headers=[("content-type", "text/html")]
    )

    got = door("GET", f'{RUN}/a";b\u00fc.html'.encode().decode("latin-1"))

    assert (
        got.headers["content-disposition"]
        == "attachment; filename=\"a__b_.html\"; filename*=UTF-8''a%22%3Bb%C3%BC.html"
    )
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["content-security-policy"] == "sandbox; default-src 'none'"


@pytest.mark.parametrize(
    ("wanted", "status", "body", "told"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=8-", 206, b"89", "bytes 8-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-99", 200, b"0123456789", None),
        ("bytes=5-999", 206, b"56789", "bytes 5-9/10"),
        ("bytes=0-", 200, b"0123456789", None),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=-0", 416, b"", "bytes */10"),
        ("bytes=3-2", 200, b"0123456789", None),
        ("bytes=-", 200, b"0123456789", None),
        ("bytes=0-1,3-4", 200, b"0123456789", None),
        ("lines=1-2", 200, b"0123456789", None),
        ("bytes=" + "9" * 40 + "-", 200, b"0123456789", None),
    ],
)
def test_a_part_of_a_file_is_read(door, wanted, status, body, told):
    door("PUT", f"{RUN}/x", b"0123456789")

    got = door("GET", f"{RUN}/x", headers=[("range", wanted)])

    assert (got.status, got.body, got.headers.get("content-range")) == (status, body, told)


def test_a_part_is_read_only_of_the_file_that_is_meant(door):
    door("PUT", f"{RUN}/x", b"0123456789")
    tag = door("HEAD", f"{RUN}/x").headers["etag"]
    door("PUT", f"{RUN}/x", b"abcdefghij")

    old = door("GET", f"{RUN}/x", headers=[("range", "bytes=0-1"), ("if-range", tag)])
    new_tag = f'"{digest_of(b"abcdefghij")}"'
    new = door("GET", f"{RUN}/x", headers=[("range", "bytes=0-1"), ("if-range", new_tag)])

    assert (old.status, old.body) == (200, b"abcdefghij")
    assert (new.status, new.body) == (206, b"ab")
    assert door("GET", f"{RUN}/x", headers=[("if-none-match", new_tag)]).status == 304


def test_head_tells_length_and_digest_and_sends_nothing(door):
    door("PUT", f"{RUN}/x", b"0123456789")

    got = door("HEAD", f"{RUN}/x")

    assert (got.status, got.body, got.headers["content-length"]) == (200, b"", "10")
    assert got.headers["etag"] == f'"{digest_of(b"0123456789")}"'


def test_nothing_more_is_read_for_a_caller_who_has_gone(door, site, monkeypatch):
    data = bytes(8 << 20)
    door("PUT", f"{RUN}/x", data)
    read = []
    pieces = site.blobs.pieces
    monkeypatch.setattr(
        site.blobs, "pieces", lambda *given: (read.append(len(piece)) or piece for piece in pieces(*given))
    )

    door("GET", f"{RUN}/x", cut=True)

    assert 0 < sum(read) < len(data)


def test_a_file_that_is_sent_again_takes_the_place_of_the_old_one(door, site):
    door("PUT", f"{RUN}/x", b"old")
    door("PUT", f"{RUN}/x", b"newer")

    assert door("GET", f"{RUN}/x").body == b"newer"
    with site.db.read() as rows:
        assert rows.value("artifacts.of_digest", digest=digest_of(b"old")) is None


def test_deleting_takes_a_file_or_a_whole_folder_and_the_same_again_is_no_error(door):
    for name in ("a/1", "a/b/2", "a/b/c/3", "z"):
        door("PUT", f"{RUN}/{name}", b"x")

    assert door("DELETE", f"{RUN}/a/1").status == 200
    assert door("GET", f"{RUN}/a/1").status == 404
    assert door("DELETE", f"{RUN}/a/b").status == 200
    assert door("DELETE", f"{RUN}/a/b").status == 200

    listing = door("GET", f"{ROOT}?path={RUN.removeprefix(ROOT + '/')}")
    assert names(listing) == [("z", False, 1)]
    assert names(door("GET", f"{ROOT}?path=nowhere")) == []
    assert names(door("GET", f"{ROOT}?path={RUN.removeprefix(ROOT + '/')}/z")) == []


def test_a_folder_is_no_file_and_nothing_lies_below_a_file(door):
    door("PUT", f"{RUN}/a/b", b"x")

    for method, target, code in (
        ("GET", f"{RUN}/a", "INVALID_PARAMETER_VALUE"),
        ("PUT", f"{RUN}/a", "RESOURCE_ALREADY_EXISTS"),
        ("PUT", f"{RUN}/a/b/c", "RESOURCE_ALREADY_EXISTS"),
        ("GET", f"{RUN}/q", "RESOURCE_DOES_NOT_EXIST"),
    ):
        answer = door(method, target, b"y")
        assert answer.json()["error_code"] == code, target
    assert door("GET", f"{RUN}/a/b").body == b"x"


ATTACKS = (
    "/../../../../etc/passwd",
    "/..%2f..%2f..%2fetc%2fpasswd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/%252e%252e%252fetc%252fpasswd",
    "/..%5c..%5cwindows%5cwin.ini",
    "//etc/passwd",
    "/%2fetc%2fpasswd",
    "/C:/windows/win.ini",
    "/a%00b",
    "/a%0ab",
    "/..;/..;/etc/passwd",
    "/x%23/../../y",
    "/%ef%bc%8e%ef%bc%8e/x",
    "/a%ef%bc%8fb",
    "/%ff%fe",
    "/.",
)


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
def test_a_path_that_is_not_plain_is_refused_on_every_verb_and_changes_nothing(door, site, tmp_path, method, attack):
    door("PUT", f"{RUN}/kept", b"kept")
    before = sorted(str(one) for one in tmp_path.rglob("*") if one.name != "ropewalk.db-wal")

    answer = door(method, f"{RUN}{attack}", b"evil")

    assert answer.status in (400, 404)
    assert b"root:" not in answer.body
    assert sorted(str(one) for one in tmp_path.rglob("*") if one.name != "ropewalk.db-wal") == before
    assert list(site.blobs.digests()) == [digest_of(b"kept")]


@pytest.mark.parametrize("path", ["../..", "/etc/passwd", "//etc", "%2e%2e", "a%5Cb", "%252e%252e", "C:%2Fx"])
def test_lists_refuse_such_paths_too(door, site, remote, path):
    assert door("GET", f"{ROOT}?path={path}").status == 400
    assert door("GET", f"/api/2.0/mlflow/artifacts/list?run_id={remote.id}&path={path}").status == 400
    assert door("GET", f"/get-artifact?run_id={remote.id}&path={path}").status == 400


def start(site, **more):
    from ropewalk.leases import Lease
    from ropewalk.source.commit import Commit

    commit = Commit(sha="", branch="", author="", message="", dirty=False, diff=b"")
    lease = Lease(host="h", boot="b", pid=1, born=1, expires_us=1, fence=1)
    given = {"kind": "pipeline", "pipeline": "p.py:train", "args": {}, "code": "", "environment": ""}
    return site.db.write(lambda tx: runs.start(tx, site, commit=commit, lease=lease, **given, **more))


@pytest.fixture
def native(site):
    """A run of the project's own, with two files and a model."""
    run = start(site)
    manifest = site.blobs.put(b'{"parts":{"model.skops":"%s"}}' % site.blobs.put(b"weights").encode())
    facts = [
        LogEntry(kind="artifact", key="plots/roc.svg", value={"digest": site.blobs.put(b"<svg>"), "bytes": 5}, at_us=1),
        LogEntry(kind="artifact", key="notes.txt", value={"digest": site.blobs.put(b"hello"), "bytes": 5}, at_us=1),
        LogEntry(kind="model", key="flights", value={"manifest": manifest}, at_us=1),
    ]
    site.db.write(lambda tx: keep.apply(tx, run.id, facts, node="fit"))
    return run


def test_what_a_step_logged_is_seen_at_the_same_paths(door, native):
    listed = f"/api/2.0/mlflow/artifacts/list?run_id={native.id}"
    root = f"{ROOT}/{native.location.removeprefix('mlflow-artifacts:/')}"
    door("PUT", f"{root}/plots/added.txt", b"later")

    assert names(door("GET", listed)) == [
        ("flights", True, None),
        ("notes.txt", False, 5),
        ("plots", True, None),
    ]
    assert names(door("GET", f"{listed}&path=plots")) == [("plots/added.txt", False, 5), ("plots/roc.svg", False, 5)]
    assert names(door("GET", f"{listed}&path=flights")) == [("flights/model.skops", False, 7)]
    assert door("GET", listed).json()["root_uri"] == native.location
    assert door("GET", f"{root}/plots/roc.svg").body == b"<svg>"
    assert door("GET", f"/get-artifact?run_uuid={native.id}&path=flights/model.skops").body == b"weights"


def test_what_a_step_logged_stays_as_it_is(door, native):
    root = f"{ROOT}/{native.location.removeprefix('mlflow-artifacts:/')}"

    for method, name in (("PUT", "notes.txt"), ("DELETE", "notes.txt"), ("DELETE", "plots"), ("PUT", "notes.txt/x")):
        answer = door(method, f"{root}/{name}", b"evil")
        assert answer.json()["error_code"] == "RESOURCE_ALREADY_EXISTS", name
    assert door("GET", f"{root}/notes.txt").body == b"hello"


def test_pages_of_a_run_s_files_are_stable_and_bound_to_their_list(door, native, monkeypatch):
    monkeypatch.setattr("ropewalk.api.mlflow.artifacts.PAGE_FILES", 2)
    listed = f"/api/2.0/mlflow/artifacts/list?run_id={native.id}"

    first = door("GET", listed)
    second = door("GET", f"{listed}&page_token={first.json()['next_page_token']}")

    assert [one[0] for one in names(first) + names(second)] == ["flights", "notes.txt", "plots"]
    assert "next_page_token" not in second.json()
    deep = base64.urlsafe_b64encode(b"[" * 100_000).decode()
    for token in ("x", "eyJ9", deep, first.json()["next_page_token"] + "&path=plots"):
        assert door("GET", f"{listed}&page_token={token}").status == 400


def test_an_unknown_run_a_missing_run_and_a_missing_path_are_told(door, remote):
    assert door("GET", "/api/2.0/mlflow/artifacts/list").status == 400
    assert door("GET", f"/api/2.0/mlflow/artifacts/list?run_id={'0' * 32}").status == 404
    assert door("GET", f"/get-artifact?run_id={remote.id}").status == 400


@pytest.fixture
def remote(site):
    return start(site)
