"""A look at objects finds losses and changes, with as few requests as possible, and takes no fault for a loss."""

from __future__ import annotations

import hashlib

import pytest

from databuild.model.records import Location, StoredData
from databuild.orchestration.stores.look import Look
from databuild.orchestration.stores.objects import object_facts
from databuild.storage.storages import Storages
from tests.support.fake_storage import FakeStorages


def stored(*uris: str, size: int | None = 1) -> list[StoredData]:
    return [StoredData(uri, "1", Location(uri, size)) for uri in uris]


def store_of(*uris: str) -> FakeStorages:
    storages = FakeStorages()
    storages.files = dict.fromkeys(uris, b"x")
    return storages


@pytest.mark.parametrize(("count", "listings"), [(1, 0), (15, 0), (16, 1), (1500, 1)])
def test_many_objects_are_listed_and_few_are_asked_for(count: int, listings: int) -> None:
    uris = [f"s3://bucket/data/{number:05}.csv" for number in range(count)]
    storages = store_of(*uris)
    look = Look(stored(*uris), storages=lambda: storages)

    assert (look.findings, len(look.others)) == ((), 0)
    methods = [method for method, _ in storages.asked]
    assert methods == (["beginning_with"] * listings or ["stat"] * count)


def test_a_listing_is_split_where_each_part_has_a_page() -> None:
    uris = [f"s3://bucket/data/{number:05}.csv" for number in range(9_500, 13_000)]
    storages = store_of(*(f"s3://bucket/data/{number:05}.csv" for number in range(20_000)))

    assert len(object_facts(uris, storages)) == len(uris)
    assert sorted(uri for _, uri in storages.asked) == [
        "s3://bucket/data/09",
        "s3://bucket/data/10",
        "s3://bucket/data/11",
        "s3://bucket/data/12",
    ]


@pytest.mark.parametrize("others", [0, 20])
def test_losses_and_changes_are_found(others: int) -> None:
    kept = [f"s3://bucket/other/{number}" for number in range(others)]
    storages = store_of("s3://bucket/same", "s3://bucket/grown", *kept)
    storages.files["s3://bucket/grown"] = b"xyz"
    data = stored("s3://bucket/same", "s3://bucket/gone", "s3://bucket/grown", *kept)
    look = Look(data, storages=lambda: storages)

    assert [(one.ref, one.kind, one.detail) for one in look.findings] == [
        ("s3://bucket/gone", "missing", ""),
        ("s3://bucket/grown", "changed", "1 bytes are now 3"),
    ]
    assert look.found == {"s3://bucket/grown": Location("s3://bucket/grown", 3)}


@pytest.mark.parametrize("others", [0, 20])
def test_objects_below_a_uri_are_a_folder(others: int) -> None:
    kept = [f"s3://bucket/other/{number}" for number in range(others)]
    storages = store_of(
        "s3://bucket/day/1", "s3://bucket/day/2", "s3://bucket/day/.hidden", "s3://bucket/day2/1", *kept
    )
    data = stored("s3://bucket/day", "s3://bucket/day/", size=2)
    look = Look([*data, *stored(*kept)], storages=lambda: storages)
    assert look.findings == ()

    storages.files["s3://bucket/day/2"] = b"xx"
    look = Look([*data, *stored(*kept)], storages=lambda: storages)
    assert [one.kind for one in look.findings] == ["changed", "changed"]


@pytest.mark.parametrize("count", [1, 20])
def test_a_store_that_fails_has_no_losses(count: int) -> None:
    storages = FakeStorages()
    storages.fault = "it refuses"
    look = Look(stored(*(f"s3://bucket/{number}" for number in range(count))), storages=lambda: storages)

    assert {(one.kind, one.detail) for one in look.findings} == {("unreadable", "it refuses")}


@pytest.mark.parametrize("count", [1, 20])
def test_a_bucket_that_does_not_exist_has_no_losses(count: int) -> None:
    storages = store_of("s3://other/x")
    look = Look(stored(*(f"s3://bucket/{number}" for number in range(count))), storages=lambda: storages)

    assert {(one.kind, one.detail) for one in look.findings} == {
        ("unreadable", "the bucket s3://bucket/ does not exist")
    }


def test_a_whole_bucket_is_a_folder() -> None:
    storages = store_of("s3://bucket/a", "s3://bucket/b")
    look = Look(stored("s3://bucket", "s3://bucket/", size=2), storages=lambda: storages)
    assert look.findings == ()

    look = Look(stored("s3://away"), storages=lambda: storages)
    assert [(one.kind, one.detail) for one in look.findings] == [("unreadable", "the bucket s3://away/ does not exist")]


def test_without_the_extension_objects_are_counted_with_a_hint() -> None:
    look = Look(stored("s3://bucket/a", "s3://bucket/b", "gs://c/d"), storages=lambda: Storages({}))

    assert (look.findings, len(look.others)) == ((), 3)
    assert list(dict.fromkeys(hint for _, hint in look.others.values())) == [
        "the graph cannot use 's3://bucket'; add storage = ['s3'] to its databuild_graph",
        "the graph cannot use 'gs://c'; add storage = ['gs'] to its databuild_graph",
    ]


def test_content_is_compared_by_digest() -> None:
    storages = store_of("s3://bucket/a", "s3://bucket/b")
    digest = f"sha256:{hashlib.sha256(b'x').hexdigest()}"
    data = [StoredData(uri, digest, Location(uri, 1, "other")) for uri in storages.files]
    assert len(Look(data, storages=lambda: storages).findings) == 2
    assert Look(data, content=True, storages=lambda: storages).findings == ()

    storages.files["s3://bucket/b"] = b"y"
    (finding,) = Look(data, content=True, storages=lambda: storages).findings
    assert (finding.ref, finding.detail) == ("s3://bucket/b", "its content has changed")
