"""Tokens, roles, and the addresses on which the service may listen."""

from __future__ import annotations

from pathlib import Path

import pytest

from databuild.errors import InvalidRequestError, PermissionDeniedError, UnauthenticatedError
from databuild.service.access.auth import READ, WRITE, Caller, Tokens, read_tokens
from databuild.service.access.certificates import grpc_certificate_name, http_certificate_name
from databuild.service.http.guard import is_loopback
from databuild.service.process.options import ServerOptions, TlsFiles, load_tokens

READER, WRITER = "r" * 32, "w" * 32
TEXT = f"# who may what\n\nann write {WRITER}\nbob   read\t{READER}\n"


def test_each_token_has_a_name_and_a_role() -> None:
    tokens = read_tokens(TEXT, "file")

    assert tokens.authenticate(f"Bearer {WRITER}") == Caller(name="ann", role=WRITE)
    assert tokens.authenticate(f"bearer  {READER} ") == Caller(name="bob", role=READ)


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer x", f"Basic {WRITER}", f"Bearer {WRITER[:-1]}", WRITER])
def test_nothing_else_is_let_in(header: str) -> None:
    with pytest.raises(UnauthenticatedError):
        read_tokens(TEXT, "file").authenticate(header, "ann")


def test_all_tokens_are_compared_whichever_fits() -> None:
    compared = []

    def equal(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return one == other

    tokens = Tokens({READER: Caller(name="bob"), WRITER: Caller(name="ann")}, equal=equal)

    for token in (READER, WRITER):
        compared.clear()
        tokens.authenticate(f"Bearer {token}")
        assert len(compared) == 2


def test_readers_may_not_write() -> None:
    Caller(name="bob", role=READ).check(READ)
    Caller(name="ann", role=WRITE).check(WRITE)
    Caller(name="ann", role=WRITE).check(READ)

    with pytest.raises(PermissionDeniedError):
        Caller(name="bob", role=READ).check(WRITE)


@pytest.mark.parametrize(
    ("author", "name"), [("ann", "ann"), ("", "anonymous"), ("a\nb", "anonymous"), ("x" * 101, "anonymous")]
)
def test_without_tokens_everybody_is_who_they_say(author: str, name: str) -> None:
    assert Tokens({}).authenticate("", author) == Caller(name=name, role=WRITE)


@pytest.mark.parametrize(("certificate", "name"), [("ann", "ann"), ("", "anonymous"), ("a\nb", "anonymous")])
def test_claimed_names_count_for_nothing_beside_a_certificate(certificate: str, name: str) -> None:
    assert Tokens({}).authenticate("", "eve", certificate).name == name
    assert read_tokens(TEXT, "file").authenticate(f"Bearer {READER}", "eve", certificate).name == "bob"


def test_the_name_in_a_certificate_is_the_common_name_or_the_first_other() -> None:
    organisation, common = (("organizationName", "o"),), (("commonName", "ann"),)
    other = (("DNS", "ann.example"), ("URI", "spiffe://ann"))

    assert http_certificate_name({"subject": (organisation, common), "subjectAltName": other}) == "ann"
    assert http_certificate_name({"subject": (organisation,), "subjectAltName": other}) == "ann.example"
    assert http_certificate_name({"subject": (organisation,)}) == ""
    assert http_certificate_name(None) is http_certificate_name({}) is grpc_certificate_name({}) is None
    shown = {"x509_pem_cert": [b"..."], "x509_subject_alternative_name": [b"ann.example"]}
    assert grpc_certificate_name(shown) == "ann.example"
    assert grpc_certificate_name({**shown, "x509_common_name": [b"ann"]}) == "ann"


@pytest.mark.parametrize(
    "text",
    ["", "# nothing\n", "ann write", f"ann all {WRITER}", "ann write short", f"ann write {WRITER}\nbob read {WRITER}"],
)
def test_a_file_of_tokens_that_cannot_be_meant_is_refused_without_showing_any(text: str) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        read_tokens(text, "file")

    assert WRITER not in str(raised.value)


def test_tokens_come_from_a_file_or_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(TEXT)
    path.chmod(0o600)

    assert load_tokens(str(path), "").authenticate(f"Bearer {WRITER}").name == "ann"
    assert load_tokens("", TEXT).authenticate(f"Bearer {READER}").name == "bob"
    assert not load_tokens("", "")


def test_a_file_of_tokens_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(TEXT)
    path.chmod(0o640)

    with pytest.raises(InvalidRequestError, match="chmod 600"):
        load_tokens(str(path), "")


@pytest.mark.parametrize("data", [None, b"\xff"])
def test_a_file_of_tokens_that_cannot_be_read_is_told(tmp_path: Path, data: bytes | None) -> None:
    path = tmp_path / "tokens"
    if data is not None:
        path.write_bytes(data)
        path.chmod(0o600)

    with pytest.raises(InvalidRequestError, match="tokens"):
        load_tokens(str(path), "")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_on_loopback_everybody_may(host: str) -> None:
    ServerOptions(host=host, tokens=Tokens({})).check()

    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "example.org", "", "127.0.0.1.example.org"])
def test_elsewhere_somebody_has_to_say_who_may(host: str) -> None:
    for open_to_all in (
        ServerOptions(host=host, tokens=Tokens({})),
        ServerOptions(host=host, tokens=Tokens({}), tls=TlsFiles(certificate="c", key="k")),
    ):
        with pytest.raises(InvalidRequestError, match="could read, build and cancel everything") as refusal:
            open_to_all.check()
        assert refusal.value.remedy == "AUTHENTICATE_CALLERS"

    ServerOptions(host=host, tokens=read_tokens(TEXT, "file")).check()
    ServerOptions(host=host, tokens=Tokens({}), insecure_listen=True).check()
    tls = TlsFiles(certificate="c", key="k", client_authority="a")
    ServerOptions(host=host, tokens=Tokens({}), tls=tls).check()
