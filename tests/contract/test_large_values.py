"""The tables keep values with tens of thousands of refs apart from all other values."""

from __future__ import annotations

from databuild.event_log.sqlite.connection import connect_for_reading
from tests.support.stores import Store

_LARGE = {
    *("payload", "requested", "inputs", "output_digests", "metadata", "adoption", "location", "removal"),
    *("message", "schema"),
}
"""The columns of unlimited size."""
_SMALL = {
    *("build_request_id", "retry_of_build_request_id", "job_run_id", "ref", "input", "output", "version", "resource"),
    *("graph_label", "job_label", "status", "reason", "cause", "taint_reason", "failure_category", "failure_message"),
    *("executor", "machine", "worker_id", "log_store", "exporter"),
    *("name", "unit", "severity"),
    *("code_digest", "configuration_digest", "cancel_requested_by", "holder", "submitter", "waiting_for"),
}
"""The other columns with texts, in SQLite."""


def test_the_row_that_each_append_updates_has_no_large_values(store: Store) -> None:
    store.write().close()

    assert store.columns("builds").isdisjoint(_LARGE)


def test_every_text_of_sqlite_is_known_as_large_or_small() -> None:
    texts = {column for columns in _texts().values() for column in columns}

    assert texts == _LARGE | _SMALL


def test_a_table_of_sqlite_with_large_values_has_row_ids() -> None:
    # To compare a key of a table without row ids, SQLite loads the whole row.
    connection = connect_for_reading("/nowhere/events.db")
    without_row_ids = {name for (name,) in connection.execute("SELECT name FROM pragma_table_list WHERE wr")}
    connection.close()

    assert {table for table, columns in _texts().items() if _LARGE & set(columns)}.isdisjoint(without_row_ids)
    assert without_row_ids


def test_large_values_of_sqlite_are_the_last_columns() -> None:
    # SQLite can read the columns before these without reading these.
    for columns in _texts(all_columns=True).values():
        large = [column in _LARGE for column in columns]

        assert large == sorted(large)


def _texts(*, all_columns: bool = False) -> dict[str, list[str]]:
    """Returns the columns of each table of SQLite that hold texts or bytes."""
    connection = connect_for_reading("/nowhere/events.db")
    tables: dict[str, list[str]] = {}
    rows = connection.execute(
        "SELECT t.name, c.name, c.type FROM pragma_table_list t CROSS JOIN pragma_table_info(t.name) c "
        "WHERE t.type = 'table' AND t.schema = 'main' AND t.name NOT LIKE 'sqlite_%' ORDER BY t.name, c.cid"
    )
    for table, column, kind in rows:
        if all_columns or kind in {"TEXT", "BLOB"}:
            tables.setdefault(table, []).append(column)
    connection.close()
    return tables
