"""Values of metadata with a type, which the dashboard shows as such: `run.finished(ref, notes=markdown("*late*"))`.

Each is an object with the member `$type`. A program in another language reports the same JSON. Imported only by jobs
that use them.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence


def markdown(text: str) -> "dict[str, object]":
    """Returns a text with headings, lists, emphasis, code and links. HTML in it is shown as text."""
    return {"$type": "markdown", "text": text}


def table(columns: "Sequence[str]", rows: "Iterable[Sequence[object]]") -> "dict[str, object]":
    """Returns a small table. It is stored in the event log, so large ones belong into files.

    Args:
        columns: The names of the columns.
        rows: The rows, whose values JSON allows.

    Raises:
        ValueError: A row has another number of values than there are columns.
    """
    listed = [list(row) for row in rows]
    for row in listed:
        if len(row) != len(columns):
            raise ValueError(f"the row {row!r} has {len(row)} values, and the table has {len(columns)} columns")
    return {"$type": "table", "columns": list(columns), "rows": listed}


def link(url: str, text: str = "") -> "dict[str, object]":
    """Returns a link.

    Args:
        url: An address that begins with `http://` or `https://`.
        text: The text of the link. Default: its address.

    Raises:
        ValueError: The address begins with something else.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"the link {url!r} must begin with http:// or https://")
    return {"$type": "link", "url": url, "text": text}


def image(uri: "str | os.PathLike[str]", text: str = "") -> "dict[str, object]":
    """Returns a picture in PNG, JPEG, GIF or WebP, which stays where it is.

    Args:
        uri: A URI such as `s3://bucket/plot.png`, or the path of a file.
        text: The content of the picture in words, for those who cannot see it.
    """
    import os

    from databuild.job.locations import file_uri, is_uri

    place = os.fspath(uri)
    return {"$type": "image", "uri": place if is_uri(place) else file_uri(place), "text": text}


def schema(columns: "Mapping[str, str]") -> "dict[str, object]":
    """Returns the columns of the data, each with its type. `explain` says when they change.

    Args:
        columns: The type of each column by its name, in the words of the format, such as `{"day": "DATE"}`.
    """
    return {"$type": "schema", "columns": [[name, kind] for name, kind in columns.items()]}
