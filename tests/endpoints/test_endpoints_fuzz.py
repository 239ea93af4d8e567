from __future__ import annotations

import json

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from endpoints.live import Caller


@pytest.mark.no_cover  # many repetitions of what other tests have counted already
@pytest.mark.slow
def test_nothing_that_its_own_description_allows_or_forbids_makes_it_fail(flights: Caller) -> None:
    document = json.loads(flights.ask("GET", "/openapi.json")[2])
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=flights.url)
    statuses: dict[str, set[int]] = {}

    for operation in (one.ok() for one in schema.get_all_operations()):
        if operation.path == "/invocations":  # the same as the endpoint's own
            continue
        known = set(map(int, document["paths"][operation.path][operation.method]["responses"]))
        modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE) if operation.method == "post" else (None,)
        for mode in modes:
            cases = operation.as_strategy(**({} if mode is None else {"generation_mode": mode}))
            seen = tried(cases, 1 if mode is None else 30)
            assert seen <= known, operation.path
            statuses.setdefault(operation.path, set()).update(seen)

    assert {200, 400} <= statuses["/endpoints/flights/predict"]
    assert 400 in statuses["/v2/models/flights/infer"]
    assert 400 in statuses["/endpoints/flights/invocations"]


def tried(cases: st.SearchStrategy[schemathesis.Case], count: int) -> set[int]:
    """Send what the strategy draws; return the statuses, none of which is 5xx."""
    seen: set[int] = set()

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(case=cases)
    def once(case: schemathesis.Case) -> None:
        response = case.call()
        seen.add(response.status_code)
        # 431 and a plain 400 are uvicorn's own, for headers that are not HTTP.
        assert response.status_code < 500, (case.as_curl_command(), response.content[:500])
        if "json" in response.headers.get("content-type", [""])[0]:
            json.loads(response.content)

    once()
    return seen
