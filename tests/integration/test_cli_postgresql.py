"""Errors of the command line about an event log on PostgreSQL: the next step, and never a password."""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import psycopg
import pytest

from databuild.cli.display.output import Output
from databuild.cli.flags.exit_codes import BAD_REQUEST, OUR_FAILURE
from databuild.cli.main import run
from tests.postgresql.server import PASSWORD, Server
from tests.support.stores import PostgresqlDatabases

SECRET = "hunter2&more"
ENCODED = "hunter2%26more"
JOB = """#!/bin/sh
[ "$1" = config ] && echo '{"configs": [{"outputs": [{"str": "one"}], "args": ["one"]}]}'
exit 0
"""
READING = [
    ("plan", "one"),
    ("builds",),
    ("status", "--output=json"),
    ("events", "latest"),
    ("events", "verify"),
    ("events", "--all"),
    ("partitions", "--output=json"),
    ("explain", "one"),
    ("logs", "latest"),
]
WRITING = [
    ("build", "one"),
    ("build", "one", "--output=json"),
    ("taint", "one", "--reason=wrong"),
    ("partitions", "adopt", "one", "--reason=there", "--force"),
    ("prune", "--keep=0"),
]
COMMANDS = [*READING, *WRITING, ("retry", "latest"), ("cancel", "latest")]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture
def store(server: Server) -> PostgresqlDatabases:
    return PostgresqlDatabases(server)


class RunCommand(Protocol):
    """Runs a command with an event log, and returns its exit code and all of its output."""

    def __call__(self, uri: str, *command: str, said: io.StringIO | None = None) -> tuple[int, str]: ...


@pytest.fixture
def databuild(tmp_path: Path) -> RunCommand:
    """Returns a function that runs a command with an event log, and returns its exit code and all of its output."""
    (tmp_path / "MODULE.bazel").touch()
    (tmp_path / "job").write_text(JOB)
    (tmp_path / "job").chmod(0o755)
    (tmp_path / "digest").write_text("1\n")
    job = {"label": "//:job", "executable": "job", "code_digest_file": "digest", "outputs": ["one"]}
    (tmp_path / "catalog.json").write_text(json.dumps({"graph_label": "//:graph", "jobs": [job]}))
    here = str(tmp_path)
    environ = {"PATH": os.environ["PATH"], "BUILD_WORKING_DIRECTORY": here, "BUILD_WORKSPACE_DIRECTORY": here}

    def databuild(uri: str, *command: str, said: io.StringIO | None = None) -> tuple[int, str]:
        said = said or io.StringIO()
        args = [f"--catalog={here}/catalog.json", f"--runfiles={here}", *command, f"--event_log={uri}"]
        return run(args, out=Output(said), err=Output(said), environ=environ), said.getvalue()

    return databuild


def leaks(said: str) -> bool:
    """Returns True if a text contains the password, plain or encoded as in a URI."""
    return any(secret in said for secret in (SECRET, ENCODED, "hunter2", PASSWORD, "s3cret"))


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "where", ["/db?host=/nowhere", "127.0.0.1:1/db", "127.0.0.1:1,127.0.0.1:2/db", "nowhere.invalid/db"]
)
def test_a_server_that_cannot_be_reached_is_our_failure(
    databuild: RunCommand, where: str, command: tuple[str, ...]
) -> None:
    code, said = databuild(f"postgresql://ann:{ENCODED}@{where}", *command)

    assert code == OUR_FAILURE
    assert "check that the server is running" in said
    assert not leaks(said)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_password_is_told_and_not_shown(
    databuild: RunCommand, server: Server, store: PostgresqlDatabases, command: tuple[str, ...]
) -> None:
    wrong = store.uri.replace(store.uri.partition("//databuild:")[2].partition("@")[0], ENCODED)
    code, said = databuild(wrong, *command)

    assert code == OUR_FAILURE
    assert "check the user, and the password" in said
    assert not leaks(said)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_database_that_is_not_there_is_told_with_what_makes_it(
    databuild: RunCommand, server: Server, command: tuple[str, ...]
) -> None:
    code, said = databuild(server.uri("nothing"), *command)

    assert code == OUR_FAILURE
    assert "createdb" in said
    assert not leaks(said)


class ClosedAfter(io.StringIO):
    """A pipe whose reader closes it after a number of occurrences of a text."""

    def __init__(self, text: str, times: int) -> None:
        super().__init__()
        self.text, self.left = text, times

    def write(self, line: str) -> int:
        if not self.left:
            raise BrokenPipeError
        self.left -= self.text in line
        return super().write(line)


def test_all_events_are_followed_over_builds_and_resumed_after_a_position(
    databuild: RunCommand, store: PostgresqlDatabases
) -> None:
    assert databuild(store.uri, "build", "one")[0] == 0
    follow = ("events", "--all", "--follow", "--output=json")
    pipe = ClosedAfter("BUILD_STATUS_RECEIVED", 3)
    following = threading.Thread(target=databuild, args=(store.uri, *follow), kwargs={"said": pipe}, daemon=True)
    following.start()
    for _ in range(3):
        assert databuild(store.uri, "build", "one", "--force")[0] == 0
    following.join(60)

    assert not following.is_alive()
    seen = [json.loads(line) for line in pipe.getvalue().splitlines()]
    code, said = databuild(store.uri, "events", "--all", "--output=json")
    known = [json.loads(line) for line in said.splitlines()]
    assert code == 0
    assert seen == known[: len(seen)]
    assert len({document["event"]["build_request_id"] for document in known}) == 4
    positions = [document["position"] for document in known]
    assert positions == sorted(set(positions))
    _, said = databuild(store.uri, "events", "--all", "--output=json", f"--after={seen[-1]['position']}")
    assert [json.loads(line) for line in said.splitlines()] == known[len(seen) :]


def test_a_read_only_database_is_read_and_not_built_with(databuild: RunCommand, store: PostgresqlDatabases) -> None:
    assert databuild(store.uri, "build", "one")[0] == 0
    name = store.execute("SELECT current_database()")[0][0]
    store.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")

    for command in READING:
        code, said = databuild(store.uri, *command)
        assert (code, leaks(said)) == (0, False), said
    for command in WRITING:
        code, said = databuild(store.uri, *command)
        assert (code, leaks(said)) == (OUR_FAILURE, False), said
        assert "read-only; name the primary" in said


@pytest.mark.parametrize("command", COMMANDS)
def test_a_schema_of_another_program_is_left_alone(
    databuild: RunCommand, store: PostgresqlDatabases, command: tuple[str, ...]
) -> None:
    store.make_of_another_program()
    code, said = databuild(store.uri, *command)

    assert code == OUR_FAILURE
    assert "another program" in said
    assert not leaks(said)
    assert store.execute("SELECT relname FROM pg_class WHERE relnamespace = 'databuild'::regnamespace") == [("t",)]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_log_of_a_newer_program_is_left_alone(
    databuild: RunCommand, store: PostgresqlDatabases, command: tuple[str, ...]
) -> None:
    assert databuild(store.uri, "build", "one")[0] == 0
    store.make_newer()
    code, said = databuild(store.uri, *command)

    assert code == OUR_FAILURE
    assert "newer" in said
    assert not leaks(said)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("scheme", ["postgressql", "psql", "postgresq1", "mysql"])
def test_a_scheme_with_a_typo_is_told_the_known_ones(
    databuild: RunCommand, scheme: str, command: tuple[str, ...]
) -> None:
    code, said = databuild(f"{scheme}://ann:{ENCODED}@host/db", *command)

    assert code == BAD_REQUEST
    assert "is none of memory:, sqlite:PATH, postgresql://USER@HOST/DATABASE" in said
    assert not leaks(said)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "uri",
    [
        f"postgresql:ann:{ENCODED}@host/db",
        f"postgresql:/ann:{ENCODED}@host/db",
        f"postgresql://ann:{ENCODED}@host/db?pasword={ENCODED}",
        f"postgresql://ann:{ENCODED}@host:port/db",
        f"postgresql://ann:{SECRET}@{SECRET}@host/db",
        f"postgresql://ann:%{SECRET}@host/db",
    ],
)
def test_a_uri_with_a_typo_is_told_the_form(databuild: RunCommand, uri: str, command: tuple[str, ...]) -> None:
    code, said = databuild(uri, *command)

    assert code == BAD_REQUEST
    assert "postgresql://USER@HOST" in said
    assert not leaks(said)


def test_no_password_is_left_behind_by_a_build(
    databuild: RunCommand, store: PostgresqlDatabases, tmp_path: Path
) -> None:
    code, said = databuild(store.uri, "build", "one", "--event_sink=jsonl:sink")
    left = [path for path in tmp_path.rglob("*") if path.is_file() and leaks(path.read_text(errors="replace"))]
    with psycopg.connect(store.uri) as connection:
        rows = connection.execute("SELECT * FROM databuild.events, databuild.builds").fetchall()

    assert code == 0
    assert not leaks(said)
    assert left == []
    assert not leaks(repr(rows))
