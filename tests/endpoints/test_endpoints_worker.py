"""The worker loads one model behind walls and answers rows; the process that asks never loads one."""

import os
import platform
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("sklearn")

import numpy as np
import polars as pl
from sklearn.linear_model import LogisticRegression

from mixed_models import NUMBERS, WORDS, mixed
from ropewalk.blobs.folder import FolderBucket
from ropewalk.clock import SystemClock
from ropewalk.endpoints.frames import encode, receive, send
from ropewalk.endpoints.worker import Desk, serve
from ropewalk.models import landlock
from ropewalk.models.log import log_model
from ropewalk.models.manifest import Manifest, read_manifest, write_manifest
from ropewalk.models.sandbox import Confinement
from ropewalk.models.syscalls import AUDIT_ARCH
from ropewalk.runs.log import Collector, collecting
from ropewalk.testing.evil import evil_pickles

ROW = {"carrier": ["AA"], "origin": ["JFK"], "hour": [20], "temp": [None]}
needs_walls = pytest.mark.skipif(
    landlock.version() == 0 or platform.machine() not in AUDIT_ARCH, reason="the kernel has no Landlock or filter"
)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder of blobs and the manifest's digest of a small model in it."""
    chance = np.random.default_rng(3)
    rows = pl.DataFrame(
        {
            "carrier": chance.choice(["AA", "UA"], 200).tolist(),
            "origin": chance.choice(["EWR", "JFK"], 200).tolist(),
            "hour": chance.integers(5, 23, 200),
            "temp": [None if place % 9 == 0 else float(place) for place in range(200)],
        }
    ).with_columns(late=(pl.col("hour") > 14).cast(pl.Int64))
    model = mixed(LogisticRegression()).fit(rows.select(WORDS + NUMBERS), rows["late"].to_numpy())
    folder = tmp_path_factory.mktemp("blobs")
    with collecting(Collector(FolderBucket(folder), SystemClock())):
        return folder, log_model(model, "late", train=rows, target="late")


@contextmanager
def worker(cwd: Path) -> Iterator[tuple[socket.socket, subprocess.Popen[bytes]]]:
    """Start the process as the gateway does."""
    ours, theirs = socket.socketpair()
    with ours:
        ours.settimeout(60)
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", "ropewalk.endpoints.worker", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),), cwd=cwd, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                env={name: os.environ[name] for name in ("PATH", "COVERAGE_PROCESS_CONFIG") if name in os.environ},
            )  # fmt: skip
        with process:
            try:
                yield ours, process
            finally:
                process.kill()


def _ask(connection: socket.socket, **message: object) -> dict:
    send(connection, message)
    return receive(connection)


def _load(connection: socket.socket, folder: Path, manifest: str, **more: object) -> dict:
    return _ask(connection, op="load", id=0, blobs=str(folder), manifest=manifest, **more)


def _with_native(folder: Path, kept: str, data: bytes) -> str:
    """Return the digest of a manifest like the kept one, whose native part is these bytes."""
    bucket = FolderBucket(folder)
    manifest = read_manifest(bucket, kept)
    changed = {field: getattr(manifest, field) for field in Manifest.__struct_fields__}
    changed["parts"] = {"model.pkl": bucket.put(data), "golden.parquet": manifest.parts["golden.parquet"]}
    return write_manifest(bucket, Manifest(**changed))


@needs_walls
@pytest.mark.parametrize("engine", ["onnx", "native"])
def test_a_worker_loads_behind_whole_walls_and_answers(kept, tmp_path, engine):
    folder, digest = kept
    with worker(tmp_path) as (connection, process):
        loaded = _load(connection, folder, digest, engine=engine)
        one = _ask(connection, op="predict", id=7, columns=ROW, rows=1)
        many = _ask(connection, op="predict", id=8, columns={name: values * 3 for name, values in ROW.items()}, rows=3)

        assert (loaded["engine"], loaded["model"]) == (engine, "late")
        assert loaded["confinement"]["missing"] == []
        assert one["id"] == 7
        assert one["outputs"]["label"] == [1]
        assert many["outputs"]["probability"] == one["outputs"]["probability"] * 3

        send(connection, {"op": "stop"})

        assert process.wait(20) == 0


def test_mistakes_are_answers_and_the_worker_goes_on(kept, tmp_path):
    folder, digest = kept
    with worker(tmp_path) as (connection, _):
        early = _ask(connection, op="predict", id=1, columns=ROW, rows=1)
        unknown = _ask(connection, op="dance", id=2)
        absent = _load(connection, folder, "sha256:" + "0" * 64)
        loaded = _load(connection, folder, digest)
        twice = _load(connection, folder, digest)
        wrong = _ask(connection, op="predict", id=3, columns={**ROW, "hour": ["noon"]}, rows=1)
        right = _ask(connection, op="predict", id=4, columns=ROW, rows=1)

    codes = [answer["error"]["code"] for answer in (early, unknown, absent, twice, wrong)]
    assert codes == ["worker-empty", "worker-message-unknown", "blob-not-found", "worker-taken", "input-type-wrong"]
    assert loaded["engine"] == "onnx"
    assert right["outputs"]["label"] == [1]


def test_the_worker_ends_when_the_other_side_goes_away(kept, tmp_path):
    with worker(tmp_path) as (connection, process):
        _load(connection, *kept)
        connection.close()

        assert process.wait(20) == 0


def test_a_terminals_interrupt_does_not_end_it(kept, tmp_path):
    with worker(tmp_path) as (connection, process):
        _load(connection, *kept)
        process.send_signal(signal.SIGINT)

        assert _ask(connection, op="predict", id=1, columns=ROW, rows=1)["outputs"]["label"] == [1]


def test_no_evil_pickle_has_its_way_in_a_worker(kept, tmp_path):
    folder, digest = kept
    for evil in evil_pickles(tmp_path)[:4]:
        with worker(tmp_path) as (connection, _):
            answer = _load(connection, folder, _with_native(folder, digest, evil.data), engine="native")

        assert answer["error"]["code"] == "model-not-trusted", evil.name
        assert not evil.mark.exists()


SPY = """
import os
from sklearn.base import BaseEstimator, ClassifierMixin
class Spy(ClassifierMixin, BaseEstimator):
    classes_ = [0, 1]
    def predict_proba(self, frame):
        import numpy as np
        return np.full((len(frame), 2), 0.5)
    def predict(self, frame):
        import numpy as np
        for path in (self.secret, "/etc/passwd"):
            try:
                open(path).read()
                return np.array(["read " + path])
            except OSError:
                pass
        try:
            os.system("touch " + self.mark)
            open(self.mark, "w")
            return np.array(["wrote"])
        except OSError:
            raise ValueError("walls everywhere")
"""


@needs_walls
def test_a_model_of_the_projects_own_code_runs_but_sees_neither_keys_nor_blobs(kept, tmp_path, monkeypatch):
    folder, digest = kept
    project, code = tmp_path / "project", tmp_path / "code"
    (project / ".ropewalk").mkdir(parents=True)
    code.mkdir()
    (project / ".ropewalk" / "ledger.key").write_text("secret")
    (code / "own_spy.py").write_text(SPY)
    monkeypatch.syspath_prepend(code)
    import pickle

    from own_spy import Spy

    spy = Spy()
    spy.secret, spy.mark = str(project / ".ropewalk" / "ledger.key"), str(tmp_path / "mark")
    manifest = _with_native(folder, digest, pickle.dumps(spy))
    with worker(project) as (connection, _):
        refused = _load(connection, folder, manifest, engine="native")
    with worker(project) as (connection, _):
        loaded = _load(connection, folder, manifest, engine="native", code_folder=str(code))
        answer = _ask(connection, op="predict", id=1, columns=ROW, rows=1)
    with worker(project) as (connection, _):
        no_pickle = _load(connection, folder, manifest, engine="native", code_folder=str(code), allow_pickle=False)

    assert refused["error"]["code"] == "model-not-trusted"
    assert loaded["part"] == "model.pkl"
    assert answer["error"]["code"] == "model-raised"
    assert answer["error"]["why"] == "ValueError: walls everywhere"
    assert not (tmp_path / "mark").exists()
    assert no_pickle["error"]["code"] == "pickle-not-allowed"


def test_the_process_that_asks_never_unpickles(kept, tmp_path):
    """An audit hook ends the process at the first `pickle.find_class`; it reads manifests, scans and asks a worker."""
    folder, digest = kept
    code = """
import os, socket, subprocess, sys
def hook(event, arguments):
    if event == "pickle.find_class":
        os._exit(3)
sys.addaudithook(hook)
from pathlib import Path
from ropewalk.blobs.folder import FolderBucket
from ropewalk.endpoints.frames import receive, send
from ropewalk.models.manifest import read_manifest
from ropewalk.models.parts import scan_part
from ropewalk.models.predictor import prepare
bucket = FolderBucket(Path(sys.argv[1]))
for digest in sys.argv[2:4]:
    manifest = read_manifest(bucket, digest)
    assert not scan_part(manifest.native_part, bucket.get(manifest.parts[manifest.native_part]))
    assert prepare(bucket, digest, engine="native").data
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-m", "ropewalk.endpoints.worker", str(theirs.fileno())]
    worker = subprocess.Popen(command, pass_fds=(theirs.fileno(),))
    theirs.close()
    send(ours, {"op": "load", "id": 0, "blobs": sys.argv[1], "manifest": digest, "engine": "native"})
    print(receive(ours)["part"])
    ours.close()
    worker.wait()
if len(sys.argv) > 4:
    import pickle
    pickle.loads(b"cdatetime\\ndate\\n.")
"""
    import pickle

    from sklearn.linear_model import LogisticRegression as Plain

    pickled = _with_native(folder, digest, pickle.dumps(Plain().fit([[0], [1]], [0, 1])))

    command = [sys.executable, "-c", code, str(folder), digest, pickled]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    tried = subprocess.run([*command, "try"], capture_output=True, check=False)

    assert (done.returncode, done.stdout.split()) == (0, ["model.skops", "model.pkl"]), done.stderr
    assert tried.returncode == 3


def test_a_desk_answers_in_order_and_stops_at_the_word(kept):
    def no_wall(read: object) -> Confinement:
        return Confinement(landlock=0, seccomp=False, read_only=False, limits={}, missing=("none was wanted",))

    ours, theirs = socket.socketpair()
    with ours, theirs:
        messages = [
            {"op": "load", "id": 1, "blobs": str(kept[0]), "manifest": kept[1]},
            {"op": "predict", "id": 2, "columns": ROW, "rows": 1},
            {"op": "predict", "id": 3, "columns": {}, "rows": "many"},
            {"op": "predict", "id": 4},
            {"op": "stop"},
            {"op": "predict", "id": 5, "columns": ROW, "rows": 1},
        ]
        ours.sendall(b"".join(map(encode, messages)))

        serve(theirs, Desk(no_wall))
        answers = [receive(ours) for _ in range(4)]

    assert [answer["id"] for answer in answers] == [1, 2, 3, 4]
    assert answers[0]["confinement"]["missing"] == ["none was wanted"]
    assert answers[1]["outputs"]["label"] == [1]
    assert answers[2]["error"]["code"] == "input-missing"
    assert answers[3]["error"]["code"] == "model-raised"
