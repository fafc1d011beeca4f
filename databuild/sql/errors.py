"""The error of SQL jobs. Users read its message without a traceback."""


class SqlError(Exception):
    """A query, its inputs or its result are invalid."""
