"""Valid and invalid lines of report files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from google.protobuf.struct_pb2 import Struct

from databuild.orchestration.jobs.reports import ReportFaultError, add_location, parse_report
from tests.support.present import present


def with_metadata(value: object) -> bytes:
    return json.dumps({"partition": {"ref": "a", "metadata": {"value": value}}}).encode()


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = {"in": value}
    return value


def test_a_finished_partition_brings_its_metadata() -> None:
    report = parse_report(with_metadata({"rows": 842, "days": [1, None, True]}), {"a"})
    assert report is not None

    assert report.partition.ref == "a"
    value = report.partition.metadata["value"]
    assert isinstance(value, Struct)
    assert value["rows"] == 842


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("{folder}/a b", "file://{folder}/a%20b"),
        ("a b", "file://{folder}/a%20b"),
        ("s3://bucket/a", "s3://bucket/a"),
        ("gone", ""),
        ("", ""),
        (7, ""),
    ],
)
def test_a_path_in_the_metadata_is_a_location_if_something_is_there(tmp_path: Path, path: object, uri: str) -> None:
    (tmp_path / "a b").write_text("1234")
    path = path.format(folder=tmp_path) if isinstance(path, str) else path
    line = json.dumps({"partition": {"ref": "a", "metadata": {"path": path}}}).encode()
    report = present(parse_report(line, {"a"}))
    add_location(report.partition, str(tmp_path))

    assert report.partition.location.uri == uri.format(folder=tmp_path)
    assert report.partition.HasField("location") == bool(uri)
    assert report.partition.location.size_bytes == (4 if uri.startswith("file:") else 0)
    assert bool(report.partition.location.version) == uri.startswith("file:")


def test_a_folder_in_the_metadata_is_a_location_without_facts(tmp_path: Path) -> None:
    line = json.dumps({"partition": {"ref": "a", "metadata": {"path": str(tmp_path)}}}).encode()
    report = present(parse_report(line, {"a"}))
    add_location(report.partition, "/")

    assert not report.partition.location.HasField("size_bytes")


def test_a_location_counts_more_than_a_path() -> None:
    line = b'{"partition": {"ref": "a", "location": {"uri": "gs://b/a"}, "metadata": {"path": "x"}}}'
    report = present(parse_report(line, {"a"}))
    add_location(report.partition, "/work")

    assert report.partition.location.uri == "gs://b/a"


def test_an_empty_line_reports_nothing() -> None:
    assert parse_report(b" \n", {"a"}) is None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"hello", "is not a JobReport"),
        (b"\xff\xfe", "is not a JobReport"),
        (b"[" * 100_000, "is not a JobReport"),
        (b"3", "is not a JobReport"),
        (b"[]", "it needs one of"),
        (b"{}", "it needs one of"),
        (b'{"rows": 3}', "is not a JobReport"),
        (b'{"partition": {"ref": "b"}}', "not an output"),
        (b'{"partition": {"ref": "a", "location": {"uri": "data/x"}}}', "'data/x', which is not a URI"),
        (b'{"partition": {"ref": "a", "location": {}}}', "which is not a URI"),
        (with_metadata(float("nan")), "cannot be stored"),
        (with_metadata([float("-inf")]), "cannot be stored"),
        (with_metadata(nested(33)), "cannot be stored"),
    ],
)
def test_a_line_that_cannot_be_used_says_why(line: bytes, said: str) -> None:
    with pytest.raises(ReportFaultError, match=said) as error:
        parse_report(line, {"a"})
    assert "\n" not in str(error.value)


def test_metadata_may_be_as_deep_as_an_event_can_be() -> None:
    assert present(parse_report(with_metadata(nested(30)), {"a"})).HasField("partition")


@pytest.mark.parametrize("line", [{"partition": {"ref": "e\u0301"}}, {"check": {"name": "n", "ref": "e\u0301"}}])
def test_a_ref_in_another_unicode_form_is_told_with_the_form_of_all_refs(line: dict[str, dict[str, str]]) -> None:
    with pytest.raises(ReportFaultError, match=r"normalization form C.*\\xe9"):
        parse_report(json.dumps(line).encode(), {"\u00e9"})


@pytest.mark.parametrize(
    "uri",
    [
        "s3://key:hunter2@bucket/a",
        "postgresql://ann:hunter2@host/db/table",
        "https://host/a?X-Amz-Date=1&X-Amz-Signature=hunter2",
        "abfs://container@account/a?sig=hunter2",
        "https://host/a?SIG=hunter2#x",
    ],
)
@pytest.mark.parametrize("place", ["location", "path"])
def test_credentials_are_refused_and_not_shown(uri: str, place: str) -> None:
    partition = {"location": {"uri": uri}} if place == "location" else {"metadata": {"path": uri}}
    line = json.dumps({"partition": {"ref": "a", **partition}}).encode()

    with pytest.raises(ReportFaultError, match="has credentials in the") as caught:
        parse_report(line, {"a"})
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ReportFaultError) as caught:
        parse_report(line + b"}", {"a"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("uri", ["s3://bucket/a@b:c@d", "abfs://container@account/a", "https://host/a?signal=1"])
def test_a_uri_without_credentials_is_a_location(uri: str) -> None:
    line = json.dumps({"partition": {"ref": "a", "location": {"uri": uri}}}).encode()

    assert present(parse_report(line, {"a"})).partition.location.uri == uri
