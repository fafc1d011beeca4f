"""Checks docs/service.md against the tables of errors, requests, limits and flags."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest

from databuild.cli.flags.full_parse import parse
from databuild.errors import HttpRequestError
from databuild.service.api.errors import MEANINGS, Meaning, meaning_of
from databuild.service.api.routes import ROUTES, Route
from databuild.service.resources.limits import Limits
from tests.support.present import present

DOCUMENT = Path("docs/service.md").read_text(encoding="utf-8")
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w*)\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
ERRORS = present(re.search(r"^## Errors$(.*?)^## ", DOCUMENT, re.MULTILINE | re.DOTALL))[1]
ROWS = {
    code: (grpc.strip(), http.strip())
    for codes, grpc, http in re.findall(r"^\| (`.*?`) \|(.*?)\|(.*?)\|$", ERRORS, re.MULTILINE)
    for code in re.findall(r"`(\w+)`", codes)
}


def block(kind: str, beginning: str) -> str:
    return next(text for found, text in BLOCKS if found == kind and text.startswith(beginning))


@pytest.mark.parametrize("meaning", MEANINGS, ids=lambda meaning: meaning.code)
def test_every_error_is_documented_with_its_codes(meaning: Meaning) -> None:
    assert ROWS[meaning.code] == (meaning.status.name, str(meaning.http))


@pytest.mark.parametrize("status", [404, 405, 415])
def test_errors_of_http_alone_are_documented(status: int) -> None:
    assert ROWS[meaning_of(HttpRequestError(status, "x")).code] == ("", str(status))


def test_no_error_is_documented_that_does_not_exist() -> None:
    known = {meaning.code for meaning in MEANINGS} | {
        meaning_of(HttpRequestError(status, "x")).code for status in (404, 405, 415)
    }

    assert set(ROWS) == known


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_request_is_documented_with_its_rpc(route: Route) -> None:
    path = re.sub(r"\{\w+\}", "ID", route.path)

    assert any(f"{route.method} `{path}`" in line and route.rpc in line for line in DOCUMENT.splitlines())


def test_the_limits_are_documented() -> None:
    limits = Limits()

    for number in (limits.max_partitions, limits.max_requests, limits.max_queued_builds, limits.answer_timeout_seconds):
        assert f"{number:,.0f} " in DOCUMENT
    assert f"{limits.max_request_bytes >> 20} MiB" in DOCUMENT


class Unit(configparser.ConfigParser):
    """A file of systemd, whose names are case-sensitive."""

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def test_the_unit_stops_later_than_the_service_and_starts_what_there_is(tmp_path: Path) -> None:
    unit = Unit(interpolation=None, strict=False)
    unit.read_string(block("ini", "[Unit]"))
    path = tmp_path / "serve.flags"
    path.write_text(block("", "--host"))

    command, flags, _ = parse(["serve", f"--flagfile={path}"])

    assert command == "serve"
    service = unit["Service"]
    assert int(service["TimeoutStopSec"]) > flags["drain_seconds"] + flags["grace_period"]
    assert service["ExecStart"].endswith("build_graph.service --flagfile=/etc/databuild/serve.flags")


def test_the_container_starts_with_flags_that_there_are() -> None:
    entry = present(re.search(r"^ENTRYPOINT \[(.*)\]$", block("dockerfile", "FROM"), re.MULTILINE))[1]
    ports = present(re.search(r"^EXPOSE (.*)$", block("dockerfile", "FROM"), re.MULTILINE))[1].split()

    _, flags, positionals = parse(["serve", *re.findall(r'"(--.*?)"', entry)])

    assert positionals == []
    assert ports == [str(flags["port"]), str(flags["grpc_port"])]
