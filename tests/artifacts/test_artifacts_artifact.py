"""Files lie in folders: put, listed, overwritten, removed; against a dict that does the same."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.artifacts import artifact
from ropewalk.errors import Conflict, Unavailable
from ropewalk.refs import digest_of
from ropewalk.site import Site

NAMES = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map("/".join)
STEPS = st.lists(st.tuples(st.sampled_from(["put", "put", "remove"]), NAMES, st.binary(max_size=3)), max_size=25)


def put(site: Site, path: str, data: bytes) -> None:
    digest = site.blobs.put(data)
    site.db.write(lambda tx: artifact.put(tx, site, path, digest, len(data), "text/plain", begun_us=0))


def below(folder: str) -> str:
    return f"{folder}/" if folder else ""


def listed(model: dict[str, bytes], folder: str) -> list[tuple[str, int | None]]:
    found: dict[str, int | None] = {}
    for path, data in model.items():
        if path.startswith(below(folder)):
            name, deeper, _ = path.removeprefix(below(folder)).partition("/")
            found[name] = None if deeper else len(data)
    return sorted(found.items())


def folders(model: dict[str, bytes]) -> Iterator[str]:
    for path in model:
        parts = path.split("/")
        yield from ("/".join(parts[:count]) for count in range(len(parts)))


@given(steps=STEPS)
def test_files_and_folders_are_those_of_a_plain_dict(tmp_path_factory, steps):
    site = make_site(tmp_path_factory.mktemp("tree"))
    model: dict[str, bytes] = {}
    for what, path, data in steps:
        if what == "remove":
            gone = {one for one in model if one == path or one.startswith(f"{path}/")}
            assert site.db.write(lambda tx, path=path: artifact.remove(tx, path)) == len(gone)
            model = {one: model[one] for one in model if one not in gone}
        elif path in folders(model) or any(path.startswith(f"{one}/") for one in model):
            with pytest.raises(Conflict):
                put(site, path, data)
        else:
            put(site, path, data)
            model[path] = data

    with site.db.read() as rows:
        for folder in {"", "a", *folders(model), *model}:
            found = sorted((one.name, one.bytes) for one in artifact.entries(rows, folder))
            assert found == listed(model, folder)
        assert {one.path: one.digest for one in artifact.walk(rows, "")} == {
            path: digest_of(data) for path, data in model.items()
        }
        assert sorted(artifact._below(rows, "")) == sorted({"", *folders(model)})
    site.db.close()


def make_site(root) -> Site:
    from ropewalk.blobs.folder import FolderBucket
    from ropewalk.clock import SystemClock
    from ropewalk.ledger.sign import Signer
    from ropewalk.store.sqlite import SqliteDatabase

    clock = SystemClock()
    return Site(
        root=root,
        db=SqliteDatabase(root / ".ropewalk" / "ropewalk.db", clock),
        blobs=FolderBucket(root / ".ropewalk" / "blobs", clock),
        clock=clock,
        signer=Signer.create(root / ".ropewalk" / "keys"),
        actor="ann",
    )


def test_ten_thousand_files_in_a_folder_are_listed_each_once(site):
    digest = site.blobs.put(b"x")

    def many(tx):
        for number in range(10_000):
            artifact.put(tx, site, f"run/f{number:05d}", digest, 1, "", begun_us=0)

    site.db.write(many)

    with site.db.read() as rows:
        names = [one.name for one in artifact.entries(rows, "run")]
    assert names == [f"f{number:05d}" for number in range(10_000)]


def test_bytes_that_were_swept_since_they_were_put_are_asked_for_again(site, clock):
    digest = site.blobs.put(b"x")
    begun_us = clock.now_us()
    clock.advance(1)
    site.db.write(lambda tx: tx.run("artifacts.sweep", digest=digest, at_us=clock.now_us()))

    site.db.write(lambda tx: artifact.put(tx, site, "kept", digest, 1, "", begun_us=begun_us))
    site.blobs.remove(digest)

    with pytest.raises(Unavailable) as caught:
        site.db.write(lambda tx: artifact.put(tx, site, "lost", digest, 1, "", begun_us=begun_us))
    assert caught.value.code == "artifact-swept"
    with site.db.read() as rows:
        assert artifact.find(rows, "lost") is None


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("image/png", "image/png"),
        ("Text/HTML; charset=utf-8", "text/html"),
        ("", "application/octet-stream"),
        ("<img src=x onerror=alert(1)>", "application/octet-stream"),
        ("text/plain\r\nX: y", "application/octet-stream"),
    ],
)
def test_a_media_type_is_kept_only_when_it_is_one(told, kept):
    assert artifact.media_of(told) == kept
