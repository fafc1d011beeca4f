"""Which URIs name a place for files, and that none of them carries a secret."""

from __future__ import annotations

import pytest

from databuild.errors import InvalidRequestError
from databuild.job.locations import file_path
from databuild.storage.local_storage import LocalStorage
from databuild.storage.storage_uri import check_storage_uri, extension_of, local_path, without_credentials
from databuild.storage.storages import Storages, check_storage


@pytest.mark.parametrize(
    "uri",
    [
        "/mnt/logs",
        "file:///mnt/logs",
        "file:/mnt/logs",
        "s3://bucket",
        "s3://bucket/a/b",
        "gs://bucket/a",
        "az://container/a",
        "abfs://container@account.dfs.core.windows.net/a",
    ],
)
def test_a_place_for_files_is_accepted(uri: str) -> None:
    check_storage_uri(uri)
    assert without_credentials(uri) == uri


@pytest.mark.parametrize("uri", ["", "logs", "./logs", "s3", "ftp://host/a", "S3://bucket", "http://host/a"])
def test_another_text_is_refused_with_what_is_allowed(uri: str) -> None:
    with pytest.raises(InvalidRequestError, match=r"must be an absolute path or begin with file:///, s3://, gs://"):
        check_storage_uri(uri)


@pytest.mark.parametrize("uri", ["s3://", "s3:///path", "gs://b/*", "s3://b/a[1]"])
def test_a_uri_has_a_bucket_and_no_pattern(uri: str) -> None:
    with pytest.raises(InvalidRequestError, match="must be SCHEME://BUCKET/PATH"):
        check_storage_uri(uri)


@pytest.mark.parametrize("uri", ["file://host/path", "file:logs"])
def test_a_file_uri_is_of_this_machine(uri: str) -> None:
    with pytest.raises(InvalidRequestError, match="with an absolute path"):
        check_storage_uri(uri)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("s3://key:hunter2@bucket/a", "s3://bucket/a"),
        ("s3://hunter2@bucket/a", "s3://bucket/a"),
        ("gs://bucket/a?token=hunter2", "gs://bucket/a"),
        ("az://container/a?sig=hunter2#x", "az://container/a"),
        ("abfs://container:hunter2@account/a", "abfs://account/a"),
        ("ftp://user:hunter2@host/a", "ftp://host/a"),
    ],
)
def test_credentials_are_refused_and_not_shown(uri: str, shown: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        check_storage_uri(uri)

    assert "hunter2" not in str(caught.value)
    assert repr(shown) in str(caught.value)


@pytest.mark.parametrize(
    "path",
    [
        "/a%20b",
        "/%C3%BC/%ff",
        "/%2525",
        "/%2f%2F..",
        "/a+b",
        "/\u00fc",
        "/a?b#c",
        "/%",
        "/%4",
        "/%zz",
        "/%+1",
        "/% 1",
        "/%1_",
        "/%00",
        "/a\0",
        "//a",
    ],
)
@pytest.mark.parametrize("beginning", ["file:", "file://", "file://localhost"])
def test_jobs_and_storages_decode_the_path_of_a_file_alike(beginning: str, path: str) -> None:
    uri = beginning + path
    try:
        expected = file_path(uri)
    except ValueError:
        with pytest.raises(InvalidRequestError):
            local_path(uri)
    else:
        assert local_path(uri) == expected


def test_only_object_stores_have_an_extension() -> None:
    assert [extension_of(uri) for uri in ("/a", "file:///a", "s3://b", "az://b", "gs://b")] == [
        None,
        None,
        "s3",
        "abfs",
        "gs",
    ]
    assert local_path("file://localhost/a") == "/a"


def test_a_scheme_that_the_graph_lacks_is_refused_with_the_attribute_that_adds_it() -> None:
    with pytest.raises(InvalidRequestError, match=r"add storage = \['abfs'\] to its databuild_graph"):
        check_storage("az://container/a", {"s3"})
    with pytest.raises(InvalidRequestError, match=r"add storage = \['s3'\]"):
        Storages({}).for_uri("s3://bucket/a")
    check_storage("az://container/a", {"abfs"})
    check_storage("/mnt/logs", ())


def test_paths_are_opened_without_a_library() -> None:
    assert isinstance(Storages({}).for_uri("/mnt/logs"), LocalStorage)
