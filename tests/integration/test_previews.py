"""Previews of real files, made by processes of their own: kinds of data, limits, and files that are hostile."""

from __future__ import annotations

import asyncio
import gzip
import os
from collections.abc import AsyncIterator
from pathlib import Path

import duckdb
import pytest

from databuild.event_log.open import open_event_log
from databuild.graph.catalog import Job, JobCatalog
from databuild.job.locations import file_uri, size_and_version
from databuild.model.results import Success
from databuild.orchestration.events.payloads import partition_available
from databuild.previews.preview import MAX_CELL, MAX_ROWS, MAX_TEXT_BYTES, Preview
from databuild.previews.process import make_preview
from databuild.service.partitions.previews import Previews
from databuild.service.resources.reader_pool import ReaderPool
from databuild.v1 import partition_pb2 as pt
from tests.support.pictures import png
from tests.support.step_builds import begin

DUCKDB: dict[str, list[str]] = {"duckdb": []}


def preview_of(path: Path, version: str = "", *, tables: bool = True, only_picture: bool = False) -> Preview:
    return make_preview(file_uri(path), version, DUCKDB if tables else {}, only_picture)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Returns a folder with the same table in several formats."""
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t AS SELECT range AS n, 'x' || range AS name FROM range(200)")
        for name, options in (
            ("t.parquet", "FORMAT parquet"),
            ("t.csv", "FORMAT csv"),
            ("t.csv.gz", "FORMAT csv, COMPRESSION gzip"),
            ("t.jsonl", "FORMAT json"),
        ):
            connection.execute(f"COPY t TO '{tmp_path / name}' ({options})")
    return tmp_path


@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.csv.gz", "t.jsonl"])
def test_the_first_rows_of_a_table_are_shown(folder: Path, name: str) -> None:
    preview = preview_of(folder / name, size_and_version(folder / name)[1])

    assert preview.unavailable == ""
    assert preview.columns == [("n", "BIGINT"), ("name", "VARCHAR")]
    assert (preview.rows[1], len(preview.rows), preview.truncated) == (["1", "x1"], MAX_ROWS, True)


def test_parquet_is_recognised_by_its_content(folder: Path) -> None:
    (folder / "t.parquet").rename(folder / "data")

    assert preview_of(folder / "data").rows[0] == ["0", "x0"]


def test_nulls_bytes_and_long_values_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    duckdb.sql(f"COPY (SELECT NULL AS a, '\\x00\\xFF'::BLOB AS b, repeat('y', 500) AS c) TO '{path}'")
    preview = preview_of(path)

    assert preview.rows[0][:2] == [None, "00ff"]
    assert preview.rows[0][2] == "y" * (MAX_CELL - 1) + "…"
    assert preview.truncated is False


def test_without_duckdb_the_page_says_how_to_add_it(folder: Path) -> None:
    assert "add previews = True to its databuild_graph" in preview_of(folder / "t.parquet", tables=False).unavailable
    assert "add previews = True" in preview_of(folder / "t.csv.gz", tables=False).unavailable
    assert (preview_of(folder / "t.csv", tables=False).text or "").startswith("n,name\n0,x0\n")


def test_the_first_file_of_a_folder_is_shown(folder: Path) -> None:
    (folder / "t.csv").unlink()
    (folder / "a.bin").write_bytes(b"\0")
    preview = preview_of(folder, size_and_version(folder)[1])

    assert (preview.columns[0], preview.truncated) == (("n", "BIGINT"), True)


def test_texts_and_markup_are_texts(tmp_path: Path) -> None:
    for name in ("a.txt", "a.html", "a.svg"):
        (tmp_path / name).write_text("<svg onload='alert(1)'>")

        assert preview_of(tmp_path / name).text == "<svg onload='alert(1)'>"


def test_a_long_text_is_cut_between_characters(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x" + "é" * MAX_TEXT_BYTES)
    preview = preview_of(tmp_path / "a.txt")

    assert (len((preview.text or "").encode()), preview.truncated) == (MAX_TEXT_BYTES - 1, True)


def test_a_picture_is_recognised_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(png())
    preview = preview_of(tmp_path / "a.txt")

    assert (preview.media_type, preview.picture) == ("image/png", png())


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.parquet", b"PAR1" + b"x" * 50 + b"PAR1", "DuckDB cannot read the data as parquet"),
        ("a.parquet", b"", "the file is empty"),
        ("a.csv", os.urandom(64) + b"\0", "its content is binary"),
        ("a.csv", b"x" * 5_000_000, "DuckDB cannot read the data as csv"),
        ("a.jsonl", b"{" * 100_000, "DuckDB cannot read the data as json"),
        ("a.csv.gz", b"\x1f\x8b" + b"x" * 50, "DuckDB cannot read the data as csv"),
        ("a.png", png(100_000, 100_000), "that is not shown"),
        ("a.png", png() + b"x" * 9_000_000, "bytes, and at most"),
        ("a.txt", b"\x1b[2J\0", "binary"),
        ("a.bin", b"\xff\xfe\xfd", "binary"),
        ("a.txt", b"", "the file is empty"),
    ],
)
def test_a_file_that_cannot_be_shown_has_a_reason(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)

    assert reason in preview_of(tmp_path / name).unavailable


def test_a_file_that_was_swapped_is_not_shown(tmp_path: Path) -> None:
    secret, data = tmp_path / "secret.txt", tmp_path / "data.txt"
    secret.write_text("secret")
    data.write_text("public")
    version = size_and_version(data)[1]
    data.unlink()
    gone = preview_of(data, version)
    data.symlink_to(secret)
    linked = preview_of(data, version)
    data.unlink()
    data.write_text("other")
    changed = preview_of(data, version)

    assert "does not exist" in gone.unavailable
    assert "symbolic link" in linked.unavailable
    assert "has changed since it was recorded" in changed.unavailable


def test_a_folder_that_leads_elsewhere_is_not_shown(tmp_path: Path) -> None:
    data, secret = tmp_path / "data", tmp_path / "secret"
    for folder in (data, secret):
        folder.mkdir()
        (folder / "a.txt").write_text(folder.name)
    version = size_and_version(data)[1]
    (data / "a.txt").unlink()
    (data / "a.txt").symlink_to(secret / "a.txt")
    inside = preview_of(data)
    (data / "a.txt").unlink()
    data.rmdir()
    data.symlink_to(secret)

    assert inside.unavailable != ""
    assert "symbolic link" in preview_of(data, version).unavailable


@pytest.mark.parametrize("uri", ["https://example.org/a.csv", "file://host/a", "/etc/passwd", "s3://bucket/a.csv"])
def test_other_places_are_not_looked_at(uri: str) -> None:
    assert make_preview(uri, "", {}, False).unavailable != ""


def test_special_files_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.txt")

    assert "neither a file nor a folder" in preview_of(tmp_path / "fifo.txt").unavailable


def test_metadata_shows_pictures_alone(folder: Path) -> None:
    assert "no picture" in preview_of(folder / "t.csv", only_picture=True).unavailable


class _Service:
    """Previews of one partition of a real event log."""

    def __init__(self, extensions: dict[str, list[str]]) -> None:
        job = Job(label="//:j", executable="", outputs=("p/{name}",))
        self.catalog = JobCatalog(graph_label="//:g", jobs={"//:j": job}, extensions=extensions)
        self.log = open_event_log("memory:")
        self.readers = ReaderPool(self.log.reader)

    def previews(self, *, enabled: bool = True, max_seconds: float = 60.0) -> Previews:
        return Previews(self.catalog, self.readers, enabled=enabled, max_seconds=max_seconds)

    async def produce(self, uri: str, **metadata: object) -> None:
        one = await begin(self.log, "b", "p/a")
        one.emit_job_scheduled("b.1.1", 1, "//:j")
        one.emit_job_running("b.1.1", 1, "//:j")
        one.emit_partition_building("p/a", 1, "b.1.1")
        one.emit_job_completed("b.1.1", 1, "//:j")
        await one.emit(partition_available("p/a", 1, "b.1.1", "", metadata, pt.Location(uri=uri)))
        await one.complete_build(Success(jobs_completed=1))

    async def close(self) -> None:
        await asyncio.to_thread(self.readers.close)
        await self.log.close()


@pytest.fixture
async def service() -> AsyncIterator[_Service]:
    service = _Service(DUCKDB)
    yield service
    await service.close()


async def test_a_process_makes_the_preview(service: _Service, folder: Path) -> None:
    (folder / "a.png").write_bytes(png())
    await service.produce(file_uri(folder / "t.csv"), plot={"$type": "image", "uri": file_uri(folder / "a.png")})
    previews = service.previews()
    table, picture = await previews.make("p/a"), await previews.make("p/a", "plot")

    assert table.rows[0] == ["0", "x0"]
    assert (picture.media_type, picture.picture) == ("image/png", png())
    assert (await previews.make("p/a", "rows")).unavailable == "no job has reported where it is"
    assert (await previews.make("p/b")).unavailable == "the partition has no data"
    assert "shows no previews" in (await service.previews(enabled=False).make("p/a")).unavailable


async def test_a_process_that_takes_too_long_is_killed(service: _Service, tmp_path: Path) -> None:
    await service.produce(file_uri(tmp_path / "a.txt"))

    assert "it takes more than" in (await service.previews(max_seconds=0.0).make("p/a")).unavailable


async def test_a_decompression_bomb_ends_within_the_limits(service: _Service, tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.csv.gz", "wb", compresslevel=9) as file:
        for _ in range(300):
            file.write(b"x" * 1_000_000)  # one line of 300 MB
    await service.produce(file_uri(tmp_path / "a.csv.gz"))

    assert (await service.previews().make("p/a")).unavailable != ""
