"""The scan refuses planted pickle bombs, secrets and vulnerable libraries, and says plainly what it could not check."""

from __future__ import annotations

import json
import os
import pickle
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from releases.small_line import Small, answer, make_project, make_version, settings_of
from ropewalk.errors import Invalid, Refused
from ropewalk.releases import approval, outcome, release
from ropewalk.releases.advisories import match, read_advisories
from ropewalk.releases.leaks import ACCEPTED_MARK, find_leaks
from ropewalk.releases.line import ship
from ropewalk.site import Site

# Written in two halves, so that no scanner takes this file for a leak.
SECRETS = {
    "AWS access key id": "AKIA" + "IOSFODNN7ABCDEFG",
    "AWS secret access key": 'aws_secret_access_key = "wJalrXUtnFEMI/K7MDENG/' + 'bPxRfiCYzzzzzzzzKE"',
    "private key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "GitHub token": "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
    "GitLab token": "glpat-" + "a1B2c3D4e5F6g7H8i9J0",
    "Slack token": "xoxb-" + "123456789012-abcdefABCDEF",
    "Google API key": "AIza" + "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q",
    "Stripe key": "sk_live_" + "a1B2c3D4e5F6g7H8i9J0k1L2",
    "model hub token": "hf_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7",
    "API key of a model service": "sk-ant-" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9",
    "JSON web token": "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9",
    "password in a URL": "postgresql://ann:" + "h7Gk29xQ@db.internal/flights",
    "value of a variable named like a secret": 'api_key = "' + 'q8Zr71LmPw90XtBv"',
}


def advisory(package: str = "requests", *, introduced: str = "0", fixed: str = "2.32.0", name: str = "GHSA-1") -> dict:
    events = [{"introduced": introduced}, *([{"fixed": fixed}] if fixed else [])]
    affected = {"package": {"ecosystem": "PyPI", "name": package}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}
    return {"id": name, "aliases": ["CVE-2024-35195"], "summary": "it leaks", "affected": [affected]}


def plant(site: Site, *records: dict) -> None:
    (site.root / "advisories").mkdir(exist_ok=True)
    for number, record in enumerate(records):
        (site.root / "advisories" / f"{number}.json").write_text(json.dumps(record))


def refusal(site: Site, **parts) -> Refused:
    with pytest.raises(Refused) as caught:
        ship(site, settings_of(**parts), doors=Small(site=site).doors())
    assert "stage 4, scan" in caught.value.what, caught.value.record()
    return caught.value


@pytest.mark.parametrize("kind", SECRETS)
def test_a_planted_secret_is_found_by_file_and_line_and_not_repeated(kind: str) -> None:
    secret = SECRETS[kind]

    (leak,) = find_leaks({"conf/settings.py": f"a = 1\n\n{secret}\n".encode()})

    assert (leak.path, leak.line, leak.kind) == ("conf/settings.py", 3, kind)
    assert secret not in repr(leak)


def test_ordinary_code_holds_no_secret() -> None:
    lines = [
        'password = os.environ["DATABASE_PASSWORD"]',
        'token = "your-token-here-please"',
        'api_key = "${API_KEY_OF_THE_SERVICE}"',
        'secret_name = "projects/flights/database"',
        "postgresql://ann:<password>@db/flights",
        "https://example.org/a:b/c@d",
        "digest = 'sha256:" + "0123456789abcdef" * 4 + "'",
        'tokenizer = "bert-base-uncased"',
        "commit 7a1f0c2e9b3d4a5f6e7d8c9b0a1f2e3d4c5b6a79",
    ]

    assert find_leaks({"a.py": "\n".join(lines).encode(), "b.bin": b"\x00" + SECRETS["GitHub token"].encode()}) == ()


def test_a_line_that_its_author_marked_is_left_alone() -> None:
    line = f"{SECRETS['GitHub token']}  # {ACCEPTED_MARK}"

    assert find_leaks({"a.py": line.encode()}) == ()


def test_a_secret_in_the_code_stops_the_line_and_appears_nowhere(site: Site) -> None:
    secret = SECRETS["AWS access key id"]
    make_project(site.root, {"conf.py": f"\nkey = '{secret}'\n"})
    make_version(site)

    error = refusal(site)

    assert "conf.py line 2: AWS access key id" in error.why
    with site.db.read() as reader:
        stored = outcome.last_outcome(reader, "flights/1", "scan")
        written = json.dumps([dict(row) for row in reader.rows("ledger.newest", count=100)])
        assert release.get(reader, "flights/1").state == "failed"
    assert secret not in site.blobs.get(stored.evidence).decode() + written + json.dumps(error.record())


class Bomb:
    def __reduce__(self):
        return os.system, ("touch exploded",)


def test_a_pickle_bomb_in_the_model_stops_the_line_and_does_not_go_off(site: Site, monkeypatch) -> None:
    monkeypatch.chdir(site.root)
    make_project(site.root)
    version = make_version(site, native=pickle.dumps({"slope": 2.0, "offset": 0.0}))
    bombed = make_version(site, native=pickle.dumps(Bomb()))
    assert bombed.version == version.version + 1
    small = Small(site=site)
    doors = small.doors()
    honest = {"slope": 2.0, "offset": 0.0}
    harmless = replace(doors, predict=lambda bundle, inputs: answer(honest, inputs))

    with pytest.raises(Refused) as caught:
        ship(site, settings_of(), doors=harmless)

    assert "stage 4, scan" in caught.value.what
    assert "model.pkl: posix.system is not on the allow-list" in caught.value.why
    assert not (site.root / "exploded").exists()


def test_a_pickle_bomb_among_the_code_stops_the_line(site: Site) -> None:
    make_project(site.root)
    (site.root / "encoder.joblib").write_bytes(pickle.dumps(Bomb()))
    make_version(site)

    assert "encoder.joblib: posix.system is not on the allow-list" in refusal(site).why


def test_an_environment_without_pickles_refuses_a_model_that_is_only_one(site: Site) -> None:
    make_project(site.root)
    make_version(site)

    error = refusal(site, environments={"production": {"allow_pickle": False}})

    assert "production takes no pickles" in error.why


def test_a_vulnerable_library_stops_the_line_with_advisory_and_fixed_version(site: Site) -> None:
    make_project(site.root)
    make_version(site)
    plant(site, advisory())

    error = refusal(site)

    assert "requests 2.31.0 has GHSA-1, fixed in 2.32.0" in error.why
    assert error.fix.startswith('pip install "requests>=2.32.0"')


def test_an_advisory_that_was_accepted_by_any_of_its_names_lets_pass(site: Site) -> None:
    make_project(site.root)
    make_version(site)
    plant(site, advisory())

    found = ship(site, settings_of(scan={"accept": ["CVE-2024-35195"]}), doors=Small(site=site).doors())

    with site.db.read() as reader:
        stored = outcome.last_outcome(reader, found.id, "scan")
    evidence = json.loads(site.blobs.get(stored.evidence))["found"]
    assert evidence["vulnerable"] == [["requests", "2.31.0", "GHSA-1", "2.32.0"]]
    assert evidence["inputs"]["accept"] == ["CVE-2024-35195"]
    assert list(evidence["inputs"]["advisories"]) == ["0.json"]


def test_no_advisories_is_said_plainly_and_refused_where_they_are_required(site: Site) -> None:
    make_project(site.root)
    make_version(site)

    assert "there are no advisories" in refusal(site, scan={"require_advisories": True}).why
    found = ship(site, settings_of(), doors=Small(site=site).doors())

    with site.db.read() as reader:
        assert "no library was checked" in outcome.last_outcome(reader, found.id, "scan").summary


def test_a_new_advisory_makes_the_scan_run_again_and_an_approval_void(site: Site) -> None:
    make_project(site.root)
    make_version(site)
    plant(site, advisory("numpy", fixed="1.0"))
    settings = settings_of(environments={"production": {"approvals": 1}})
    doors = Small(site=site).doors()
    assert ship(site, settings, doors=doors).state == "waiting"
    bob = replace(site, actor="bob@example.org")
    bob.db.write(lambda tx: approval.approve(tx, bob, "flights/1"))
    plant(site, advisory("numpy", fixed="1.0"), advisory("flask"))

    found = ship(site, settings, doors=doors)

    assert found.state == "waiting"
    with site.db.read() as reader:
        assert outcome.last_outcome(reader, "flights/1", "scan").attempt == 2
        assert len(approval.approvals(reader, "flights/1")) == 1
        assert approval.valid(reader, found) == []
    bob.db.write(lambda tx: approval.approve(tx, bob, "flights/1"))
    assert ship(site, settings, doors=doors).state == "live"


@pytest.mark.parametrize(
    ("pinned", "events", "hit"),
    [
        ("1.0", [{"introduced": "0"}, {"fixed": "1.1"}], True),
        ("1.1", [{"introduced": "0"}, {"fixed": "1.1"}], False),
        ("1.1rc1", [{"introduced": "0"}, {"fixed": "1.1"}], True),
        ("0.9", [{"introduced": "1.0"}, {"fixed": "1.1"}], False),
        ("1.1", [{"introduced": "1.0"}, {"last_affected": "1.1"}], True),
        ("1.1.1", [{"introduced": "1.0"}, {"last_affected": "1.1"}], False),
        ("3.0", [{"introduced": "1.0"}, {"fixed": "2.0"}, {"introduced": "3.0"}], True),
        ("2.5", [{"introduced": "1.0"}, {"fixed": "2.0"}, {"introduced": "3.0"}], False),
        ("1.10", [{"introduced": "1.9"}, {"fixed": "1.11"}], True),
    ],
)
def test_ranges_of_versions_are_read_as_osv_says(tmp_path, pinned: str, events: list, hit: bool) -> None:
    record = advisory("Some_Lib")
    record["affected"][0]["ranges"][0]["events"] = events
    (tmp_path / "one.json").write_text(json.dumps(record))

    found = match(read_advisories(tmp_path), [("some-lib", pinned), ("other", "1.0")])

    assert bool(found) == hit


def test_versions_named_one_by_one_withdrawn_records_and_other_ecosystems(tmp_path) -> None:
    listed = {"id": "A", "affected": [{"package": {"ecosystem": "PyPI", "name": "x"}, "versions": ["1.0"]}]}
    gone = {**advisory("y"), "withdrawn": "2024-01-01T00:00:00Z"}
    other = {"id": "C", "affected": [{"package": {"ecosystem": "npm", "name": "z"}, "versions": ["1.0"]}]}
    (tmp_path / "all.json").write_text(json.dumps([listed, gone, other]))

    found = match(read_advisories(tmp_path), [("x", "1.0.0"), ("y", "1.0"), ("z", "1.0")])

    assert [(one.package, one.advisory) for one in found] == [("x", "A")]


@given(
    st.recursive(
        st.none() | st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_a_file_that_is_no_advisory_is_refused_by_name(tmp_path_factory, value) -> None:
    folder = tmp_path_factory.mktemp("advisories")
    (folder / "odd.json").write_text(json.dumps(value))

    if value == []:
        assert read_advisories(folder).records == ()
        return
    with pytest.raises(Invalid) as caught:
        read_advisories(folder)
    assert (caught.value.code, caught.value.where.rpartition("/")[2]) == ("advisory-unreadable", "odd.json")
