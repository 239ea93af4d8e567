"""A run that began while its server was away keeps the id that it was given there, however often it is told of."""

from __future__ import annotations

import pytest

from ropewalk.runs import remote
from ropewalk.runs.run import get
from ropewalk.site import Site

MARK = "0199aabbccddeeff00112233445566ff"


def begun(site: Site, mark: str, **more: str):
    return site.db.write(lambda tx: remote.create(tx, site, tags={remote.SPOOL_TAG: mark}, **more))


def test_the_run_has_the_id_that_its_spool_gave_it_and_told_twice_it_is_one(site: Site) -> None:
    first, second = begun(site, MARK), begun(site, MARK)

    assert first.id == MARK
    assert second == first


@pytest.mark.parametrize("mark", ["", "x" * 32, MARK.upper(), MARK + "0", "../" + MARK[3:]])
def test_what_is_no_mark_gives_a_new_id(site: Site, mark: str) -> None:
    first, second = begun(site, mark), begun(site, mark)

    assert len({first.id, second.id, mark}) == 3


def test_nobody_takes_over_a_run_by_calling_its_id(site: Site) -> None:
    site.db.write(lambda tx: remote.create(tx, site, run_id=MARK))

    other = begun(site, MARK)

    assert other.id != MARK
    with site.db.read() as reader:
        assert get(reader, MARK).id == MARK


def test_an_import_brings_its_own_id_with_the_mark(site: Site) -> None:
    assert begun(site, MARK, run_id="a" * 32).id == "a" * 32
