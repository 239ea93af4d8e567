"""A webhook leads to a public address over TLS, or to a host that the project allows by name."""

from __future__ import annotations

import ipaddress

import pytest

from ropewalk.errors import Invalid
from ropewalk.webhooks.target import URL_LETTERS_MAX, is_public, is_reachable, target_of

PUBLIC = "93.184.216.34"


def _at(*addresses):
    return lambda _host, _port: addresses


def test_a_public_address_is_looked_up_once_and_kept():
    asked = []

    def resolve(host, port):
        asked.append((host, port))
        return (PUBLIC, "2606:2800:220:1::1")

    found = target_of("https://hooks.example.org:8443/a/b?c=d", resolve=resolve)

    assert asked == [("hooks.example.org", 8443)]
    assert (found.scheme, found.authority, found.path) == ("https", "hooks.example.org:8443", "/a/b?c=d")
    assert found.addresses == (PUBLIC, "2606:2800:220:1::1")
    assert target_of("https://x.org", resolve=_at(PUBLIC)).path == "/"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.9.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "192.0.0.8", "192.0.2.1", "198.18.0.1", "192.88.99.1", "224.0.0.1", "239.255.255.255", "240.0.0.1",
        "255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1",
        "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2002:7f00:1::",
        "2002:a9fe:a9fe::", "3fff::1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "2001:0:1::",
        "2001:db8::1", "100::1",
    ],
)  # fmt: skip
def test_no_name_leads_to_a_place_that_is_not_public(address):
    for found in ((address,), (PUBLIC, address)):
        with pytest.raises(Invalid, match="cannot lead there"):
            target_of("https://innocent.example.org/", resolve=_at(*found))


@pytest.mark.parametrize("address", [PUBLIC, "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_are_public(address):
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "", " ", "x", "/hook", "//host/hook", "ftp://host/", "file:///etc/passwd", "gopher://host/", "javascript:x",
        "http://host/", "https://", "https:///x", "https://u@host/", "https://u:p@host/", "https://host/#x", "https://host/x#",
        "https://host:0/", "https://host:99999/", "https://host:x/", "https://ho st/", "https://host/a b",
        "https://host/\r\nX: y", "https://host\\@evil/", "https://h\u00f6st/", "https://host/\x00", "https://[::1/", "https://[x]/",
        "https://host/" + "x" * URL_LETTERS_MAX,
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_before_anybody_is_asked(url):
    def never(_host, _port):
        raise AssertionError("looked up")

    with pytest.raises(Invalid, match="cannot lead there"):
        target_of(url, resolve=never)


def test_numbers_in_any_spelling_are_what_they_resolve_to():
    for host in ("2130706433", "0x7f.1", "127.1", "0177.0.0.1", "localhost", "localhost.", "[::1]", "[::ffff:7f00:1]"):
        with pytest.raises(Invalid):
            target_of(f"https://{host}/")


def test_an_allowed_host_may_be_private_and_without_tls_but_never_where_clouds_keep_keys():
    allow = ("hooks.internal", "127.0.0.1:9000", "[::1]:9000")

    assert target_of("http://hooks.internal/x", allow, _at("10.0.0.7")).addresses == ("10.0.0.7",)
    assert target_of("http://HOOKS.internal/x", allow, _at("fd00::7")).scheme == "http"
    assert target_of("http://127.0.0.1:9000/", allow).authority == "127.0.0.1:9000"
    assert target_of("http://[::1]:9000/", allow).authority == "[::1]:9000"
    for url, address in (
        ("http://127.0.0.1:9001/", "127.0.0.1"),
        ("http://other.internal/", "10.0.0.7"),
        ("https://other.internal/", "10.0.0.7"),
        ("http://hooks.internal/", "169.254.169.254"),
        ("http://hooks.internal/", "::ffff:169.254.169.254"),
        ("http://hooks.internal/", "0.0.0.0"),
        ("http://hooks.internal/", "224.0.0.1"),
    ):
        with pytest.raises(Invalid):
            target_of(url, allow, _at(address))
    assert is_reachable(ipaddress.ip_address("::1"))


def test_a_host_without_an_address_is_refused_with_the_reason():
    def gone(_host, _port):
        raise OSError("no such host")

    with pytest.raises(Invalid) as caught:
        target_of("https://x.example.org/", resolve=gone)
    assert "no such host" in caught.value.why
    for found in ((), ("rubbish",)):
        with pytest.raises(Invalid):
            target_of("https://x.example.org/", resolve=_at(*found))
