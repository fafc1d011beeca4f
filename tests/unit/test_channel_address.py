"""Addresses of systems that DataBuild calls over gRPC."""

from __future__ import annotations

import pytest

from databuild.channels.address import Address, parse_address
from databuild.errors import InvalidRequestError


def parse(uri: str) -> Address:
    return parse_address(uri, tls_scheme="reapis", system="an engine")


@pytest.mark.parametrize(
    ("uri", "target", "instance", "tls"),
    [
        ("reapi://host:8980", "host:8980", "", False),
        ("reapi://host:8980/", "host:8980", "", False),
        ("reapi://host:8980/main", "host:8980", "main", False),
        ("reapi://host:8980/projects/p/instances/i", "host:8980", "projects/p/instances/i", False),
        ("reapi://host:8980/a%20b", "host:8980", "a b", False),
        ("reapis://engine.example", "engine.example:443", "", True),
        ("reapis://[::1]:8980/main", "[::1]:8980", "main", True),
    ],
)
def test_an_address_has_a_host_a_port_and_an_instance(uri: str, target: str, instance: str, tls: bool) -> None:
    address = parse(uri)

    assert (address.uri, address.target, address.instance, address.tls) == (uri, target, instance, tls)


def test_resources_are_below_the_instance() -> None:
    assert parse("reapi://host:1/main").resource("blobs/x/1") == "main/blobs/x/1"
    assert parse("reapi://host:1").resource("blobs/x/1") == "blobs/x/1"


@pytest.mark.parametrize(
    ("uri", "url"), [("reapi://host:1/i", "http://host:1/"), ("reapis://host", "https://host:443/")]
)
def test_credential_helpers_get_a_url(uri: str, url: str) -> None:
    assert parse(uri).url == url


@pytest.mark.parametrize(
    ("uri", "fault"),
    [
        ("reapi://host", "it must be reapi://HOST:PORT"),
        ("reapi:///instance", "it must be reapi://HOST:PORT"),
        ("reapi://host:port", "Port could not be cast"),
        ("reapi://host:99999", "out of range"),
        ("reapi://host:1/i?x=1", "remove the part after 'reapi://host:1/i'"),
        ("reapi://host:1/i#x", "remove the part after 'reapi://host:1/i'"),
    ],
)
def test_another_text_is_refused(uri: str, fault: str) -> None:
    with pytest.raises(InvalidRequestError, match=fault):
        parse(uri)


def test_a_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidRequestError, match="credential helper") as refused:
        parse("reapi://user:secret@host:1/i")

    assert "secret" not in str(refused.value)
