"""A message goes to the address that was checked, in bounded time, and follows nothing."""

from __future__ import annotations

import datetime as dt
import ssl
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ropewalk.webhooks.post import TEXT_BYTES_MAX, post
from ropewalk.webhooks.target import Target, target_of
from webhooks.listener import Listener, answer


def _target(listener, **more):
    return target_of(listener.url, (listener.host,), **more)


def test_the_answer_comes_back_whatever_it_is():
    with Listener(answers=[answer(503, "Retry-After: 7"), b"HTTP/1.0 200 OK\r\n\r\nfine"]) as listener:
        first = post(_target(listener), b"{}", {"X-A": "b"})
        second = post(_target(listener), b"{}", {})

    assert (first.status, first.text, first.retry_after) == (503, "", "7")
    assert (second.status, second.text) == (200, "fine")
    heard = listener.heard[0]
    assert heard.line == "POST /hook?a=b HTTP/1.1"
    assert heard.headers["host"] == listener.host
    assert (heard.headers["x-a"], heard.headers["connection"], heard.body) == ("b", "close", b"{}")


def test_a_redirect_is_an_answer_and_nothing_more():
    with Listener() as inner, Listener(answers=[answer(307, f"Location: {inner.url}")]) as outer:
        found = post(_target(outer), b"{}", {})

        assert (found.status, inner.taken) == (307, 0)


def test_no_more_of_an_answer_is_read_than_is_shown():
    flood = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5_000_000
    with Listener(answers=[flood]) as listener:
        assert len(post(_target(listener), b"{}", {}).text) == TEXT_BYTES_MAX


def _trickle(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
    for _ in range(100):
        time.sleep(0.05)
        connection.sendall(b"x")


@pytest.mark.parametrize("behave", [lambda _connection: time.sleep(3), _trickle], ids=["silent", "slow"])
def test_who_is_silent_or_slow_is_given_up_in_time(behave):
    with Listener(behave=behave) as listener:
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            post(_target(listener), b"{}", {}, seconds=0.4)

        assert time.monotonic() - began < 1.5


@pytest.mark.parametrize(
    "said", [b"", b"rubbish\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200]
)
def test_what_is_no_http_is_an_error_of_the_network(said):
    with Listener(answers=[said]) as listener, pytest.raises(OSError):  # noqa: PT011 - any of them
        post(_target(listener), b"{}", {})


def test_a_name_that_means_another_place_a_moment_later_changes_nothing():
    with Listener() as checked, Listener() as sink:
        answers = [("127.0.0.1",), ("203.0.113.1",)]
        target = target_of(checked.url, (checked.host,), lambda _host, _port: answers.pop(0))
        found = post(target, b"{}", {})

        assert (found.status, len(checked.heard), sink.taken) == (200, 1, 0)
    assert len(answers) == 1


def _certificate(tmp_path, host):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=40_000))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / f"{host}.pem"
    plain = serialization.NoEncryption()
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


def test_over_tls_the_certificate_is_the_hosts_and_not_the_addresses(tmp_path):
    file = _certificate(tmp_path, "hooks.example.org")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    trust = ssl.create_default_context(cafile=str(file))

    def at(host, port):
        return Target(scheme="https", host=host, port=port, path="/", addresses=("127.0.0.1",))

    with Listener(context=server) as listener:
        found = post(at("hooks.example.org", listener.port), b"{}", {}, trust=trust)
        with pytest.raises(ssl.SSLError):
            post(at("other.example.org", listener.port), b"{}", {}, trust=trust)
        with pytest.raises(ssl.SSLError):
            post(at("hooks.example.org", listener.port), b"{}", {})

    assert found.status == 200
    assert len(listener.heard) == 1
    assert listener.heard[0].headers["host"] == f"hooks.example.org:{listener.port}"


def test_the_next_address_is_tried_where_the_first_takes_nobody():
    with Listener() as listener:
        target = Target(
            scheme="http", host="x", port=listener.port, path="/", addresses=("127.0.0.2", "127.0.0.1")
        )  # nobody listens on the first
        assert post(target, b"{}", {}).status == 200
    with pytest.raises(OSError):  # noqa: PT011 - refused, in the words of the machine
        post(target, b"{}", {})
