"""The process that makes one preview: reads a request from standard input, and writes the preview to standard output.

It limits its own memory and processor time before it opens anything; the service that starts it limits the time.
"""

from __future__ import annotations

import base64
import json
import resource
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Final

from databuild.previews.pictures import picture_in
from databuild.previews.preview import MAX_PICTURE_BYTES, MAX_PIXELS, MAX_TEXT_BYTES, Preview, Unavailable
from databuild.previews.sources import Source, opened

_TABLES: Final = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "json",
    ".ndjson": "json",
}
_COMPRESSIONS: Final = {".gz": "gzip", ".zst": "zstd"}
_PICTURES: Final = (".png", ".jpg", ".jpeg", ".gif", ".webp")
_TEXTS: Final = (".txt", ".md", ".json", ".log", ".xml", ".html", ".svg", ".yaml", ".yml", ".sql")
_READABLE: Final = (*_TABLES, *(name + end for name in _TABLES for end in _COMPRESSIONS), *_PICTURES, *_TEXTS)
_PARQUET_MAGIC: Final = b"PAR1"
_DUCKDB: Final = "duckdb"
_MEMORY_BYTES: Final = 2 * 1024**3
_CPU_SECONDS: Final = 20
_CONTROLS: Final = frozenset(range(32)) - {9, 10, 12, 13, 27}


def main() -> None:
    """Answers the request and exits."""
    request = json.load(sys.stdin)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_PICTURE_BYTES * 8, MAX_PICTURE_BYTES * 8))
    preview = make_preview(**request)
    document = {**asdict(preview), "picture": base64.b64encode(preview.picture).decode()}
    sys.stdout.write(json.dumps(document))
    sys.stdout.flush()


def make_preview(uri: str, version: str, import_paths: Mapping[str, Sequence[str]], only_picture: bool) -> Preview:
    """Makes a preview of the data at a URI.

    Args:
        uri: The URI.
        version: The recorded version of the data; empty if it is unknown.
        import_paths: The directories of the packages of each extension that the graph names.
        only_picture: True to show pictures alone.
    """
    try:
        with opened(uri, version, import_paths, _READABLE) as source:
            preview = _picture(source)
            if preview is None and only_picture:
                raise Unavailable("the file is no picture in PNG, JPEG, GIF or WebP")
            return preview or _table(source, import_paths) or _text(source)
    except Unavailable as reason:
        return Preview(unavailable=str(reason))
    except MemoryError:
        return Preview(unavailable="the data needs more memory than a preview may use")


def _picture(source: Source) -> Preview | None:
    found = picture_in(source.beginning(MAX_TEXT_BYTES))
    if found is None:
        return None
    if source.size > MAX_PICTURE_BYTES:
        raise Unavailable(f"the picture has {source.size:,} bytes, and at most {MAX_PICTURE_BYTES:,} are shown")
    if not 0 < found.width * found.height <= MAX_PIXELS:
        raise Unavailable(f"the picture has {found.width:,} x {found.height:,} pixels; that is not shown")
    return Preview(picture=source.beginning(MAX_PICTURE_BYTES), media_type=found.media_type)


def _table(source: Source, import_paths: Mapping[str, Sequence[str]]) -> Preview | None:
    name = source.name.lower()
    compression = next((kind for end, kind in _COMPRESSIONS.items() if name.endswith(end)), "none")
    if compression != "none":
        name = name.rpartition(".")[0]
    kind = next((kind for end, kind in _TABLES.items() if name.endswith(end)), "")
    if not kind and source.beginning(4) == _PARQUET_MAGIC:
        kind = "parquet"
    if not kind:
        return None
    if not source.size:
        raise Unavailable("the file is empty")
    if kind == "parquet" and source.stored_size < source.size:
        raise Unavailable(f"the object has {source.size:,} bytes; that is too large for a preview of Parquet")
    if _DUCKDB not in import_paths:
        if kind != "parquet" and compression == "none":
            return None  # a table of text is readable as text
        raise Unavailable("the graph has no DuckDB to read tables; add previews = True to its databuild_graph")
    sys.path.extend(path for path in import_paths[_DUCKDB] if path not in sys.path)
    if kind == "csv":
        _check_is_text(source, compression)
    from databuild.previews.tables import table_preview

    preview = table_preview(source.path, kind, compression)
    preview.truncated = preview.truncated or not source.complete
    return preview


def _check_is_text(source: Source, compression: str) -> None:
    if compression == "none" and b"\0" in source.beginning(MAX_TEXT_BYTES):
        raise Unavailable("the file has the name of a table of text, and its content is binary")


def _text(source: Source) -> Preview:
    data = source.beginning(MAX_TEXT_BYTES + 4)
    text = data[:MAX_TEXT_BYTES]
    try:
        decoded = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The limit may cut a character.
        if len(text) < MAX_TEXT_BYTES or error.start < len(text) - 4:
            raise Unavailable("the content is binary, in no format that is shown") from None
        decoded = text[: error.start].decode("utf-8-sig")
    if not decoded:
        raise Unavailable("the file is empty")
    if any(ord(character) in _CONTROLS for character in decoded):
        raise Unavailable("the content is binary, in no format that is shown")
    return Preview(text=decoded, truncated=source.size > len(text) or not source.complete)
