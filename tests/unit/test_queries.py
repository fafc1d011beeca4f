"""SQL statements by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from databuild.event_log import queries
from databuild.event_log.postgresql.connection import QUERIES as POSTGRESQL
from databuild.event_log.queries import Queries
from databuild.event_log.sqlite.connection import QUERIES as SQLITE

FOLDER = Path(queries.__file__).parent
SOURCES = "\n".join(
    path.read_text("utf-8") for path in FOLDER.glob("**/*") if path.suffix in {".py", ".sql"} and path.is_file()
)


def names(folder: Path) -> list[str]:
    return [
        line.removeprefix("-- name: ")
        for line in (folder / "queries.sql").read_text("utf-8").splitlines()
        if line.startswith("-- name: ")
    ]


def database(tmp_path: Path, text: str) -> Queries:
    (tmp_path / "queries.sql").write_text(text)
    return Queries(str(tmp_path))


def test_sections_are_inserted_into_others_without_comments(tmp_path: Path) -> None:
    found = database(
        tmp_path, "-- Of a test.\n\n-- name: t\n-- Why.\nSELECT {u}\nLIMIT :n\n\n-- name: u\n{v}\n-- name: v\n1"
    )

    assert found["t"] == "SELECT 1\nLIMIT :n"
    assert found.statement("({v})") == "(1)"


def test_a_database_replaces_shared_sections(tmp_path: Path) -> None:
    found = database(tmp_path, "-- name: build_columns\nall")

    assert found["build"] == "SELECT all FROM builds WHERE build_request_id = :build_request_id"
    assert "build" in found
    with pytest.raises(KeyError):
        found["nothing"]


def test_parameters_are_translated_and_casts_are_not() -> None:
    assert POSTGRESQL.statement("SELECT a::text, :b, (:c_d)") == "SELECT a::text, %(b)s, (%(c_d)s)"
    assert SQLITE.statement("SELECT :b") == "SELECT :b"


@pytest.mark.parametrize("folder", [FOLDER, FOLDER / "sqlite", FOLDER / "postgresql"], ids=lambda folder: folder.name)
def test_every_section_has_a_name_of_its_own_and_is_used(folder: Path) -> None:
    found = names(folder)

    assert sorted(set(found)) == sorted(found)
    assert [name for name in found if f'"{name}"' not in SOURCES and f"{{{name}}}" not in SOURCES] == [
        name
        for name in found
        if name.startswith("rows_of_")  # named after tables
    ]


@pytest.mark.parametrize(("folder", "found"), [("sqlite", SQLITE), ("postgresql", POSTGRESQL)])
def test_every_statement_of_a_database_can_be_assembled(folder: str, found: Queries) -> None:
    for name in {*names(FOLDER), *names(FOLDER / folder)}:
        assert "{" not in found[name]
