"""The driver of PostgreSQL works on a machine without PostgreSQL's client library."""

from psycopg import pq

from databuild.event_log.postgresql import connection


def test_the_client_library_comes_with_the_driver() -> None:
    assert vars(connection)["pq"] is pq
    assert pq.__impl__ == "binary"
