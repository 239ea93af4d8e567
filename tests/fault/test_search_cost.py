"""No search takes more than its share, whatever it says: a hundred comparisons, two seconds of a processor."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from contextlib import suppress
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from api.asking import Client
from fault.request_scene import site_at
from fault.store_scene import ENGINES, place_for
from ropewalk.api.mlflow.table import ROUTES
from ropewalk.errors import Invalid
from ropewalk.runs import grammar
from ropewalk.runs.vocabulary import EXPERIMENTS, RUNS
from ropewalk.store import postgres, sqlite
from ropewalk.store.database import READ_SECONDS

pytestmark = [pytest.mark.fault, pytest.mark.timeout(300)]
SECONDS = os.environ.get("ROPEWALK_FUZZ_SECONDS", "60" if "ROPEWALK_KILLS" in os.environ else "")
PIECES = st.sampled_from(
    (
        "metrics.",
        "params.",
        "tags.`",
        "`",
        "'",
        '"',
        "\\",
        " = ",
        " LIKE ",
        " IN (",
        "('",
        ")",
        " AND ",
        "NULL",
        "1e999",
    )
)
TEXTS = st.lists(PIECES | st.text(max_size=8), max_size=40).map("".join)
SEARCHES = {
    "runs/search": {"experiment_ids": ["0"]},
    "experiments/search": {},
    "registered-models/search": {},
    "model-versions/search": {},
    "logged-models/search": {"experiment_ids": ["0"]},
    "/api/3.0/mlflow/traces/search": {
        "locations": [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}]
    },
}
GETS = ("registered-models/search", "model-versions/search")
DEAR = """
with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000000) select count(*) as c from n
"""


@given(text=TEXTS, vocabulary=st.sampled_from((RUNS, EXPERIMENTS)))
@example(text="(" * 100_000, vocabulary=RUNS)
@example(text="tags.a = '" + "'" * 99_999, vocabulary=RUNS)
@example(text="tags.a IN (" + "'x'," * 20_000 + "'x')", vocabulary=RUNS)
@example(text=" AND " * 20_000, vocabulary=RUNS)
@example(text="\ud800", vocabulary=RUNS)
def test_no_text_makes_the_grammar_fail_otherwise_than_by_refusing(text: str, vocabulary: grammar.Vocabulary) -> None:
    for work in (lambda: grammar.parse(text, vocabulary), lambda: grammar.parse_order([text], vocabulary)):
        with suppress(Invalid):
            assert isinstance(work(), tuple)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_search_takes_a_hundred_comparisons_and_refuses_more(engine: str, tmp_path: Path) -> None:
    took, slowest = [], 0.0
    with place_for(engine, tmp_path) as where:
        site = site_at(where, tmp_path)
        client = Client(site, ROUTES)
        for (path, more), op in product(SEARCHES.items(), ("LIKE '%x%'", "= 'x'")):
            for count, wanted in ((100, 200), (101, 400), (1000, 400)):
                asked = {"filter": " AND ".join(f"tags.k{n} {op}" for n in range(count)), **more}
                began, asked_at = time.process_time(), time.monotonic()
                way = {"params": asked} if path in GETS else {"json": asked}
                said = client.ask("GET" if path in GETS else "POST", path, **way)
                took.append(time.process_time() - began)
                slowest = max(slowest, time.monotonic() - asked_at)
                assert said.status_code == wanted, (path, count, said.text[:400])
                assert wanted == 200 or said.json()["error_code"] == "INVALID_PARAMETER_VALUE"
        site.db.close()
    print(f"{engine}: {len(took)} searches, the dearest {max(took) * 1000:.0f} ms of processor time, {slowest:.2f} s")  # noqa: T201


@pytest.mark.parametrize("engine", ENGINES)
def test_a_question_without_end_is_ended_after_its_share(engine: str, tmp_path: Path) -> None:
    """Far beyond what any search can ask: the engine itself counts to a hundred million."""
    with place_for(engine, tmp_path) as where:
        store = site_at(where, tmp_path).db
        before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
        with pytest.raises(Invalid) as caught, store.read() as rows:
            rows.composed(DEAR, {})
        after, waited = resource.getrusage(resource.RUSAGE_SELF), time.monotonic() - began
        with store.read() as rows:
            well = rows.value("events.newest")
        store.close()
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{engine}: ended after {used:.2f} s of our processor time, {waited:.2f} s by the clock")  # noqa: T201
    assert caught.value.code == "query-too-costly"
    assert well is not None
    assert (sqlite.READ_SECONDS, postgres.READ_SECONDS) == (READ_SECONDS, 2.0)
    assert used < READ_SECONDS + 1


def test_a_fuzzer_that_sees_the_code_finds_nothing_either(tmp_path: Path) -> None:
    if not SECONDS:
        pytest.skip("the fuzzer runs in `make fault`, or for ROPEWALK_FUZZ_SECONDS")
    if find_spec("atheris") is None:
        pytest.skip("atheris is not installed: pip install atheris")
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("fuzz_search.py")), SECONDS, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout.strip().splitlines()[-1] if done.stdout else "")  # noqa: T201 - the figures
    assert done.returncode == 0, done.stderr[-4000:]
    assert "nothing else" in done.stdout
