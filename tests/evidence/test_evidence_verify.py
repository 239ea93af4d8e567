"""Verification says that everything holds when it does, and names what does not."""

from __future__ import annotations

from evidence.delivered import Delivered
from ropewalk.evidence.verify import verify
from ropewalk.house import House


def test_everything_holds_in_a_project_that_ran_shipped_and_answered(reading: House) -> None:
    report = verify(reading.site)

    assert report.findings == ()
