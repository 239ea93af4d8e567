"""What something needs is never removed, what nothing needs goes when it is old, and uploads go on meanwhile."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from artifacts_door import Door
from ropewalk.artifacts import artifact, upload
from ropewalk.blobs.folder import FolderBucket
from ropewalk.clock import SystemClock
from ropewalk.errors import Invalid, Refused, Unavailable
from ropewalk.evidence import gc
from ropewalk.evidence.gc import collect
from ropewalk.evidence.verify import verify
from ropewalk.ledger.sign import Signer
from ropewalk.models import logged, registered, versions
from ropewalk.refs import canonical, digest_of
from ropewalk.runs import experiments, remote
from ropewalk.site import Site
from ropewalk.store.sqlite import SqliteDatabase

OLD = (1_000_000_000, 1_000_000_000)
DAY = 86_400


def make_site(root):
    clock = SystemClock()
    hidden = root / ".ropewalk"
    return Site(
        root=root,
        db=SqliteDatabase(hidden / "ropewalk.db", clock),
        blobs=FolderBucket(hidden / "blobs", clock),
        clock=clock,
        signer=Signer.create(hidden / "keys"),
        actor="ann",
    )


@pytest.fixture
def site(tmp_path):
    made = make_site(tmp_path)
    yield made
    made.db.close()


def age(site, *digests):
    for digest in digests or site.blobs.digests():
        os.utime(site.blobs.path_of(digest), OLD)


def put(site, path, data):
    digest = site.blobs.put(data)
    site.db.write(lambda tx: artifact.put(tx, site, path, digest, len(data), "", begun_us=site.clock.now_us()))
    return digest


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "remove", "part", "give up", "orphan", "age", "gc"]),
        st.integers(0, 5),
        st.integers(0, 5),
    ),
    max_size=30,
)


@hypothesis_settings(max_examples=60)
@given(steps=STEPS)
def test_exactly_what_nothing_names_and_is_old_goes(tmp_path_factory, steps):
    site = make_site(tmp_path_factory.mktemp("gc"))
    begun = site.db.write(lambda tx: upload.begin(tx, site, "parts/x", 6))
    files, parts, there, old = {}, {}, set(), set()
    for what, at, of in [*steps, ("gc", 0, 0), ("age", 0, 0), ("gc", 0, 0)]:
        data = f"bytes {of}".encode()
        digest = digest_of(data)
        if what in ("put", "part", "orphan"):
            site.blobs.put(data)
            there.add(digest)
            old.discard(digest)
        if what == "put":
            files[f"f/{at}"] = put(site, f"f/{at}", data)
        elif what == "remove":
            site.db.write(lambda tx, at=at: artifact.remove(tx, f"f/{at}"))
            files.pop(f"f/{at}", None)
        elif what == "part" and begun:
            note = (begun.id, at + 1, digest, len(data))
            site.db.write(lambda tx, note=note: upload.put_part(tx, site, *note, begun_us=site.clock.now_us()))
            parts[at + 1] = digest
        elif what == "give up" and begun:
            site.db.write(lambda tx, one=begun: upload.give_up(tx, one.id))
            begun, parts = None, {}
        elif what == "age":
            age(site)
            old = set(there)
        elif what == "gc":
            gone = (there - set(files.values()) - set(parts.values())) & old
            looked = collect(site, remove=False)
            done = collect(site, remove=True)
            assert looked.blobs == done.blobs == len(gone)
            there -= gone
        assert set(site.blobs.digests()) == there

    assert all(site.blobs.get(digest) for digest in {*files.values(), *parts.values()})
    assert verify(site).holds
    site.db.close()


FILES = "/api/2.0/mlflow-artifacts/artifacts"
TEXTS = [f"bytes {number}".encode() * 50 for number in range(8)]


def age_all(site):
    for data in TEXTS:
        with suppress(FileNotFoundError):
            age(site, digest_of(data))


def send_and_delete(site, door, worker, acknowledged):
    """Send files over and over; their references go and their blobs count as old, so that each send races the gc."""
    turned_away = []
    for turn in range(40):
        data, path = TEXTS[(worker * 3 + turn) % len(TEXTS)], f"{worker}/{turn}"
        answer = door("PUT", f"{FILES}/{path}", data)
        if answer.status == 200:
            acknowledged[path] = data
        else:
            turned_away.append(answer.json()["error_code"])
        if turn % 4 == 2:
            door("DELETE", f"{FILES}/{worker}")
            for gone in [path for path in acknowledged if path.startswith(f"{worker}/")]:
                del acknowledged[gone]
        age_all(site)
    return turned_away


def test_an_upload_that_was_acknowledged_is_never_lost_to_a_gc_that_runs_all_the_time(site):
    door, stop, acknowledged = Door(site), threading.Event(), {}
    for data in TEXTS:
        site.blobs.put(data)
    age_all(site)

    def sweep():
        removed = 0
        while not stop.is_set():
            removed += collect(site, remove=True).blobs
        return removed

    with ThreadPoolExecutor(5) as pool:
        sweeping = pool.submit(sweep)
        sending = [pool.submit(send_and_delete, site, door, worker, acknowledged) for worker in range(4)]
        turned_away = {code for one in sending for code in one.result()}
        stop.set()

    assert sweeping.result() > 0
    assert acknowledged
    assert turned_away <= {"TEMPORARILY_UNAVAILABLE"}
    for path, data in acknowledged.items():
        assert door("GET", f"{FILES}/{path}").body == data
    assert verify(site).holds


class GcBetween:
    """A database before whose next write all blobs grow old and a gc runs."""

    def __init__(self, site):
        self.site, self.runs = site, 1

    def __getattr__(self, name):
        return getattr(self.site.db, name)

    def submit(self, work, **more):
        if self.runs:
            self.runs -= 1
            age(self.site)
            assert collect(self.site, remove=True).blobs == 1
        return self.site.db.submit(work, **more)


@pytest.mark.parametrize("kind", ["file", "part"])
def test_bytes_that_a_gc_takes_before_they_are_named_are_not_acknowledged(site, kind):
    door = Door(replace(site, db=GcBetween(site)))
    path = f"{FILES}/a"
    if kind == "part":
        begun = site.db.write(lambda tx: upload.begin(tx, site, "a", 1))
        path = f"/api/2.0/mlflow-artifacts/mpu/part/{begun.id}/1"

    first, second = door("PUT", path, b"x"), door("PUT", path, b"x")

    assert (first.status, second.status) == (503, 200)
    assert site.blobs.get(digest_of(b"x")) == b"x"
    age(site)
    assert collect(site, remove=True).blobs == 0


def test_a_gc_that_is_killed_between_its_two_transactions_harms_nobody(site):
    digest = site.blobs.put(b"x")
    begun_us = site.clock.now_us()
    age(site)
    held = list(site.blobs.held())
    site.db.write(lambda tx: gc._announce(site, held, tx))
    site.blobs.remove(digest)

    with pytest.raises(Unavailable) as caught:
        site.db.write(lambda tx: artifact.put(tx, site, "a", digest, 1, "", begun_us=begun_us))
    assert caught.value.code == "artifact-swept"

    put(site, "a", b"x")
    assert collect(site, remove=True).blobs == 0
    assert site.blobs.get(digest) == b"x"


def remote_run(site, experiment):
    return site.db.write(lambda tx: remote.create(tx, site, experiment=experiment, name="r"))


def test_what_was_deleted_long_ago_goes_for_good_with_its_files_and_the_ledger_says_so(site):
    kept, gone = (site.db.write(lambda tx, name=name: experiments.create(tx, site, name)) for name in ("kept", "gone"))
    stays, old, inside = remote_run(site, kept.id), remote_run(site, kept.id), remote_run(site, gone.id)
    digests = {
        run.id: put(site, f"{run.location.removeprefix('mlflow-artifacts:/')}/x", run.id.encode())
        for run in (stays, old, inside)
    }
    site.db.write(lambda tx: remote.delete(tx, site, old.id))
    site.db.write(lambda tx: experiments.delete(tx, site, gone.id))
    age(site)

    early = collect(site, remove=True)
    looked = collect(site, remove=False, older_seconds=0)
    done = collect(site, remove=True, older_seconds=0)

    assert (early.purged, early.blobs) == ((), 0)
    assert [one.id for one in done.purged] == [old.id, inside.id, str(gone.id)]
    assert (looked.purged, looked.blobs, looked.bytes) == (done.purged, done.blobs, done.bytes) == (done.purged, 2, 64)
    assert list(site.blobs.digests()) == [digests[stays.id]]
    with site.db.read() as rows:
        assert rows.value("gc.run_still", number=old.number, before_us=1 << 60) is None
        entries = [row["subject"] for row in rows.rows("gc.ledger", seq=0, count=99) if "purged" in str(row["kind"])]
    assert entries == [f"run:{old.id}", f"run:{inside.id}", f"experiment:{gone.id}"]
    report = verify(site)
    assert report.holds, report.findings


def test_files_of_deleted_models_and_of_traces_that_are_gone_go_too(site):
    folder = "mlflow-artifacts:/0"
    given = {"experiment": 0, "root": folder}
    old, wanted = (site.db.write(lambda tx, n=n: logged.create(tx, site, name=n, **given)) for n in ("old", "wanted"))
    digests = {}
    for model in (old, wanted):
        path = f"{model.location.removeprefix('mlflow-artifacts:/')}/MLmodel"
        digests[model.id] = put(site, path, model.id.encode())
        site.db.write(lambda tx, model=model: logged.delete(tx, site, model.id))
    site.db.write(lambda tx: registered.create(tx, site, "kept"))
    source = {"source": wanted.location, "storage": wanted.location, "run_id": "", "logged_model": wanted.id}
    site.db.write(lambda tx: versions.add(tx, site, name="kept", **source))
    put(site, f"0/traces/tr-{'0' * 32}/artifacts/traces.json", b"spans")
    age(site)

    young = collect(site, remove=True)
    looked, done = (collect(site, remove=remove, older_seconds=0) for remove in (False, True))

    assert young.purged == ()
    assert [(one.what, one.id) for one in done.purged] == [("logged", old.id), ("trace", f"tr-{'0' * 32}")]
    assert [(one.what, one.id) for one in done.kept] == [("logged", wanted.id)]
    assert (looked.purged, looked.blobs) == (done.purged, done.blobs) == (done.purged, 2)
    assert list(site.blobs.digests()) == [digests[wanted.id]]
    assert verify(site).holds


@pytest.mark.parametrize(
    "place", ["{victim}", "{victim}/", "{victim}/{run}/artifacts", "99", "team", "team/a", "{later}"]
)
def test_an_experiment_that_goes_takes_no_files_of_others_though_its_place_is_theirs(site, place):
    def made(name, location=""):
        return site.db.write(lambda tx: experiments.create(tx, site, name, location=location))

    victim, team = made("victim"), made("team", "mlflow-artifacts:/team/a")
    runs = [remote_run(site, victim.id), remote_run(site, team.id)]
    named = place.format(victim=victim.id, run=runs[0].id, later=team.id + 2)
    gone = made("gone", f"mlflow-artifacts:/{named}")
    later = made("later")
    runs += [remote_run(site, later.id)]
    model = site.db.write(lambda tx: logged.create(tx, site, experiment=gone.id, root=gone.location, name="m"))
    wanted = {put(site, f"{run.location.removeprefix('mlflow-artifacts:/')}/x", run.id.encode()) for run in runs}
    own = put(site, f"{model.location.removeprefix('mlflow-artifacts:/').strip('/')}/MLmodel", b"m")
    site.db.write(lambda tx: experiments.delete(tx, site, gone.id))
    age(site)

    looked, done = (collect(site, remove=remove, older_seconds=0) for remove in (False, True))

    assert [one.id for one in done.purged] == [str(gone.id)]
    assert looked.blobs <= done.blobs == 1
    assert set(site.blobs.digests()) == wanted
    assert own not in wanted
    assert verify(site).holds


def test_files_of_a_run_in_a_folder_that_is_called_like_a_trace_stay(site):
    run = remote_run(site, 0)
    path = f"{run.location.removeprefix('mlflow-artifacts:/')}/traces/tr-1/artifacts/x"
    digest = put(site, path, b"x")
    age(site)

    done = collect(site, remove=True, older_seconds=0)

    assert (done.purged, done.blobs) == ((), 0)
    assert site.blobs.get(digest) == b"x"


def test_a_damaged_file_that_names_others_stops_everything(site):
    part, orphan = site.blobs.put(b"part"), site.blobs.put(b"orphan")
    manifest = site.blobs.put(canonical({"parts": {"model.skops": part}}))
    value = {"run": remote_run(site, 0).id, "value": canonical({"manifest": manifest}).decode()}
    site.db.write(
        lambda tx: tx.run(
            "runs.value_once", run_id=value["run"], kind="model", key="m", node="", value=value["value"], at_us=1
        )
    )
    age(site)
    path = site.blobs.path_of(manifest)
    path.chmod(0o600)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    age(site)

    with pytest.raises(Refused) as caught:
        collect(site, remove=True)

    assert caught.value.code == "gc-uncertain"
    assert set(site.blobs.digests()) == {part, orphan, manifest}
    path.write_bytes(whole)
    age(site)
    assert collect(site, remove=True).blobs == 1
    assert set(site.blobs.digests()) == {part, manifest}


def test_a_grace_of_less_than_an_hour_is_refused(site):
    for grace in (0, -1, 3599):
        with pytest.raises(Invalid):
            collect(site, remove=True, grace_seconds=grace)


def test_an_upload_in_parts_of_yesterday_is_forgotten_with_its_parts(site, monkeypatch):
    begun = site.db.write(lambda tx: upload.begin(tx, site, "x", 1))
    digest = site.blobs.put(b"part")
    site.db.write(lambda tx: upload.put_part(tx, site, begun.id, 1, digest, 4, begun_us=0))
    age(site)

    assert collect(site, remove=True).blobs == 0
    monkeypatch.setattr(upload, "KEPT_US", -1_000_000)

    looked, done = collect(site, remove=False), collect(site, remove=True)
    assert (looked.uploads, looked.blobs) == (done.uploads, done.blobs) == (1, 1)


def test_a_delivered_project_keeps_all_that_it_needs(project):
    from ropewalk.house import open_house

    with open_house(project) as house:
        orphan = house.site.blobs.put(b"nobody names this")
        before = set(house.site.blobs.digests())
        age(house.site)

        found = collect(house.site, remove=True)

        after = set(house.site.blobs.digests())
        assert orphan not in after
        assert found.blobs == len(before - after)
        assert found.blobs < 5, before - after
        report = verify(house.site)
        assert report.holds, report.findings
