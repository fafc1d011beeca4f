"""Previews of objects in S3, made by processes of their own."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import duckdb
import pytest

from databuild.event_log.open import open_event_log
from databuild.graph.catalog import Job, JobCatalog
from databuild.model.results import Success
from databuild.orchestration.events.payloads import partition_available
from databuild.previews.preview import MAX_OBJECT_BYTES, MAX_TEXT_BYTES, Preview
from databuild.previews.process import make_preview
from databuild.service.partitions.previews import Previews
from databuild.service.resources.reader_pool import ReaderPool
from databuild.v1 import partition_pb2 as pt
from tests.integration.object_stores.conftest import Bucket
from tests.support.pictures import png
from tests.support.step_builds import begin

EXTENSIONS: dict[str, list[str]] = {"duckdb": [], "s3": []}


def preview_of(bucket: Bucket, name: str, version: str = "") -> Preview:
    return make_preview(f"{bucket.uri}/{name}", version, EXTENSIONS, False)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("t.parquet", "FORMAT parquet"),
        ("t.csv", "FORMAT csv"),
        ("t.csv.gz", "FORMAT csv, COMPRESSION gzip"),
        ("t.jsonl", "FORMAT json"),
    ],
)
def test_the_first_rows_of_a_table_are_shown(bucket: Bucket, tmp_path: Path, name: str, options: str) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT range AS n FROM range(3)) TO '{tmp_path / name}' ({options})")
    version = bucket.put(name, (tmp_path / name).read_bytes())
    preview = preview_of(bucket, name, version)

    assert preview.unavailable == ""
    assert (preview.columns, preview.rows, preview.truncated) == ([("n", "BIGINT")], [["0"], ["1"], ["2"]], False)


def test_texts_and_pictures_are_shown(bucket: Bucket) -> None:
    bucket.put("a.html", b"<script>alert(1)</script>")
    bucket.put("a.txt", png())

    assert preview_of(bucket, "a.html").text == "<script>alert(1)</script>"
    picture = preview_of(bucket, "a.txt")
    assert (picture.media_type, picture.picture) == ("image/png", png())


def test_a_large_object_is_shown_in_part_or_not_at_all(bucket: Bucket) -> None:
    size = MAX_OBJECT_BYTES + 1
    bucket.put("a.txt", b"x" * size)
    bucket.put("a.csv", b"n\n" + b"1234567\n" * (size // 8))
    bucket.put("a.parquet", b"PAR1" + b"x" * size)
    bucket.put("a.png", png() + b"x" * size)
    text, table = preview_of(bucket, "a.txt"), preview_of(bucket, "a.csv")

    assert (len(text.text or ""), text.truncated) == (MAX_TEXT_BYTES, True)
    assert (table.unavailable, table.rows[0], table.truncated) == ("", ["1234567"], True)
    assert "too large for a preview of Parquet" in preview_of(bucket, "a.parquet").unavailable
    assert "bytes, and at most" in preview_of(bucket, "a.png").unavailable


def test_other_data_than_the_recorded_one_is_not_shown(bucket: Bucket) -> None:
    version = bucket.put("a.txt", b"public")
    assert preview_of(bucket, "a.txt", f'"{version}"').text == "public"
    bucket.put("a.txt", b"secret")

    assert "has changed since it was recorded" in preview_of(bucket, "a.txt", version).unavailable
    bucket.server.remove(f"{bucket.prefix}a.txt")
    assert "the object does not exist" in preview_of(bucket, "a.txt", version).unavailable


def test_a_bucket_that_is_away_is_named(bucket: Bucket) -> None:
    away = make_preview("s3://away/a.txt", "", EXTENSIONS, False)

    assert away.unavailable == "the bucket s3://away/ does not exist"
    assert "add storage = ['s3']" in make_preview(f"{bucket.uri}/a.txt", "", {}, False).unavailable


def test_a_prefix_of_objects_is_named_as_such(bucket: Bucket) -> None:
    bucket.put("day/1.csv")

    assert "several objects" in preview_of(bucket, "day").unavailable
    assert "several objects" in preview_of(bucket, "day/").unavailable


@pytest.mark.parametrize("name", ["a*", "../secret", "a?versionId=1"])
def test_patterns_lead_to_nothing(bucket: Bucket, name: str) -> None:
    bucket.put("a.txt")

    assert preview_of(bucket, name).unavailable != ""


class _Service:
    """Previews of one partition of an event log."""

    def __init__(self) -> None:
        job = Job(label="//:j", executable="", outputs=("p/{name}",))
        self.catalog = JobCatalog(graph_label="//:g", jobs={"//:j": job}, extensions=EXTENSIONS)
        self.log = open_event_log("memory:")
        self.readers = ReaderPool(self.log.reader)

    def previews(self, *, max_seconds: float = 60.0) -> Previews:
        return Previews(self.catalog, self.readers, enabled=True, max_seconds=max_seconds)

    async def produce(self, uri: str, version: str) -> None:
        one = await begin(self.log, "b", "p/a")
        one.emit_job_scheduled("b.1.1", 1, "//:j")
        one.emit_job_running("b.1.1", 1, "//:j")
        one.emit_partition_building("p/a", 1, "b.1.1")
        one.emit_job_completed("b.1.1", 1, "//:j")
        location = pt.Location(uri=uri, version=version)
        await one.emit(partition_available("p/a", 1, "b.1.1", "", {}, location))
        await one.complete_build(Success(jobs_completed=1))

    async def close(self) -> None:
        await asyncio.to_thread(self.readers.close)
        await self.log.close()


@pytest.fixture
async def service() -> AsyncIterator[_Service]:
    service = _Service()
    yield service
    await service.close()


async def test_a_process_makes_the_preview(service: _Service, bucket: Bucket) -> None:
    await service.produce(f"{bucket.uri}/a.csv", bucket.put("a.csv", b"n\n1\n"))

    assert (await service.previews().make("p/a")).rows == [["1"]]


async def test_a_server_that_does_not_answer_is_not_waited_for(service: _Service, bucket: Bucket) -> None:
    await service.produce(f"{bucket.uri}/a.csv", bucket.put("a.csv", b"n\n1\n"))
    os.kill(bucket.server.pid, signal.SIGSTOP)
    try:
        preview = await service.previews(max_seconds=3.0).make("p/a")
    finally:
        os.kill(bucket.server.pid, signal.SIGCONT)

    assert "it takes more than" in preview.unavailable
