"""The head that was written down finds a tail that was cut off, and cannot itself be changed."""

from __future__ import annotations

import pytest

from ropewalk.errors import Corrupt
from ropewalk.ledger.chain import first_break
from ropewalk.ledger.head import FILE, read_head, write_head
from ropewalk.ledger.sign import Checker, seal
from ropewalk.site import Site


def grow(site: Site, count: int) -> None:
    for number in range(count):
        site.db.write(lambda tx, number=number: site.record(tx, "test.done", "test:x", {"number": number}).seq)


def test_an_empty_ledger_has_no_head(site: Site) -> None:
    write_head(site.db, site.signer, site.hidden)

    assert read_head(site.hidden, Checker(site.signer.public)) is None


def test_the_head_says_how_far_the_chain_had_got(site: Site) -> None:
    grow(site, 3)
    write_head(site.db, site.signer, site.hidden)
    grow(site, 2)

    head = read_head(site.hidden, Checker(site.signer.public))
    assert head is not None
    assert head[0] == 3
    with site.db.read() as rows:
        assert first_break(rows, Checker(site.signer.public), head) is None
        found = first_break(rows, Checker(site.signer.public), (9, head[1]))
    assert found is not None
    assert "cut off" in found.why


def test_the_head_follows_the_chain(site: Site) -> None:
    grow(site, 1)
    write_head(site.db, site.signer, site.hidden)
    grow(site, 1)
    write_head(site.db, site.signer, site.hidden)

    head = read_head(site.hidden, Checker(site.signer.public))
    assert head is not None
    assert head[0] == 2


def test_any_changed_byte_of_the_head_is_noticed(site: Site) -> None:
    grow(site, 1)
    write_head(site.db, site.signer, site.hidden)
    path = site.hidden / FILE
    whole = path.read_bytes()

    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1
        path.write_bytes(bytes(changed))
        with pytest.raises(Corrupt):
            read_head(site.hidden, Checker(site.signer.public))


def test_another_signed_envelope_is_no_head(site: Site) -> None:
    (site.hidden / FILE).write_bytes(seal(site.signer, "text/other", {"seq": 1, "hash": ""}))

    with pytest.raises(Corrupt) as caught:
        read_head(site.hidden, Checker(site.signer.public))
    assert caught.value.code == "head-malformed"


def test_a_changed_head_is_kept_for_verify_to_name(site: Site) -> None:
    grow(site, 1)
    write_head(site.db, site.signer, site.hidden)
    path = site.hidden / FILE
    for changed in (path.read_bytes()[:-3], path.read_bytes().replace(b'"sig":"', b'"sig":"A')):
        path.write_bytes(changed)
        grow(site, 1)

        write_head(site.db, site.signer, site.hidden)

        assert path.read_bytes() == changed


def test_a_head_in_another_spelling_is_refused(site: Site) -> None:
    grow(site, 1)
    write_head(site.db, site.signer, site.hidden)
    path = site.hidden / FILE
    path.write_bytes(path.read_bytes().replace(b'":"', b'": "'))

    with pytest.raises(Corrupt) as caught:
        read_head(site.hidden, Checker(site.signer.public))
    assert caught.value.code == "head-malformed"
