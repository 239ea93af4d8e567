"""A `traceparent` is read as W3C's recommendation says, and anything else is no trace."""

from __future__ import annotations

import pytest

from ropewalk.telemetry.context import Parent, parent_of, trace_of

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_a_header_names_trace_span_and_whether_it_is_kept():
    assert parent_of(f"00-{TRACE}-{SPAN}-01".encode()) == Parent(TRACE, SPAN, sampled=True)
    assert parent_of(f" 00-{TRACE}-{SPAN}-02 ".encode()) == Parent(TRACE, SPAN, sampled=False)
    assert trace_of(f"cc-{TRACE}-{SPAN}-01-what-a-later-version-adds".encode()) == TRACE


@pytest.mark.parametrize(
    "header",
    [
        None,
        b"",
        b"00",
        f"ff-{TRACE}-{SPAN}-01".encode(),
        f"00-{TRACE.upper()}-{SPAN}-01".encode(),
        f"00-{'0' * 32}-{SPAN}-01".encode(),
        f"00-{TRACE}-{'0' * 16}-01".encode(),
        f"00-{TRACE}-{SPAN}-01-more".encode(),
        f"00-{TRACE}-{SPAN}-1".encode(),
        f"00-{TRACE}-{SPAN}-0g".encode(),
    ],
)
def test_what_is_no_header_of_the_recommendation_is_no_trace(header):
    assert parent_of(header) is None
    assert trace_of(header) == ""
