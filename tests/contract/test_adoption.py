"""The contract of every event log for adopted data."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from google.protobuf.json_format import ParseDict

from databuild.errors import AdoptionRefusedError, InvalidStateTransitionError
from databuild.event_log.log import EventLog
from databuild.event_log.open import open_event_log
from databuild.model.records import InputVersion, Manifest, PartitionRecord
from databuild.model.results import Cancelled, Success
from databuild.v1 import events_pb2 as ev
from tests.support.present import present
from tests.support.step_builds import adopt, begin, claim, produce, taint, take_over
from tests.support.stores import Store, read_models


def records(log: EventLog, *refs: str) -> Mapping[str, PartitionRecord]:
    return log.reader().partition_records(refs)


async def test_adopted_data_is_available_and_names_its_author(log: EventLog) -> None:
    await adopt(log, "a", "p", "q")

    record = records(log, "p")["p"]
    assert (record.status, record.available, record.version) == ("AVAILABLE", True, "a/1")
    assert (record.job_run_id, record.manifest, record.metadata) == ("", None, {})
    assert record.produced_by_build_request_id == "a"
    assert record.adoption == ("a", "ann", "moved here", 100.5)
    assert log.reader().partition_counts() == {"AVAILABLE": 2}
    assert log.reader().build("a") is None


@pytest.mark.parametrize("first", ["built", "adopted"])
async def test_one_available_partition_refuses_the_whole_adoption(log: EventLog, first: str) -> None:
    if first == "built":
        one = await begin(log, "b", "p")
        await produce(one, 1, "p")
        await one.complete_build(Success(jobs_completed=1))
    else:
        await adopt(log, "a0", "p")
    before = records(log, "p")

    with pytest.raises(AdoptionRefusedError, match="'p' cannot be adopted, since it is available already"):
        await adopt(log, "a", "o", "p", "q")
    assert records(log, "o", "p", "q") == before
    assert not log.reader().events("a")
    await adopt(log, "a", "o", "q")
    assert set(records(log, "o", "p", "q")) == {"o", "p", "q"}


async def test_a_claimed_partition_is_not_adopted_until_its_build_has_ended(log: EventLog) -> None:
    one = await begin(log, "b", "p")
    await log.renew_lease("b", "here", 60)
    await claim(log, "b", 1, "p")

    with pytest.raises(AdoptionRefusedError, match="since build b claims it") as caught:
        await adopt(log, "a", "p", "q")
    assert caught.value.conflicts == {"p": "b"}
    await one.complete_build(Cancelled())
    await adopt(log, "a", "p", "q")
    assert records(log, "p")["p"].adopted


async def test_force_adopts_available_data_and_removes_a_taint(log: EventLog) -> None:
    one = await begin(log, "b", "p", "q")
    await produce(one, 1, "p", rows=1)
    await taint(log, "t", "p")
    await log.renew_lease("b", "here", 60)
    await claim(log, "b", 2, "q")
    with pytest.raises(AdoptionRefusedError, match="nor can 1 more"):
        await adopt(log, "a", "p", "q")
    await adopt(log, "a", "p", "q", force=True)

    record = records(log, "p")["p"]
    assert (record.tainted, record.job_run_id, record.manifest, record.metadata) == (False, "", None, {})
    assert record.version == "a/1"
    assert "TAINTED" not in log.reader().partition_counts()


async def test_a_build_replaces_an_adoption(log: EventLog) -> None:
    await adopt(log, "a", "p")
    one = await begin(log, "b", "p")
    planned = records(log, "p")["p"]
    await produce(one, 1, "p")

    assert planned.adopted
    record = records(log, "p")["p"]
    assert (record.adoption, record.version, record.job_run_id) == (None, "b.1.1", "b.1.1")


async def test_one_of_two_adoptions_at_once_is_refused(log: EventLog) -> None:
    results = await asyncio.gather(
        adopt(log, "a1", "p", "q"), adopt(log, "a2", "q", "r"), adopt(log, "a3", "s"), return_exceptions=True
    )

    assert [type(result) for result in results] == [type(None), AdoptionRefusedError, type(None)]
    assert set(records(log, "p", "q", "r", "s")) == {"p", "q", "s"}


async def test_an_adoption_is_the_only_event_of_its_id(log: EventLog) -> None:
    await adopt(log, "a", "p")

    with pytest.raises(InvalidStateTransitionError):
        await adopt(log, "a", "q")


KNOWN = {
    "ref": "p",
    "version": "sha256:1",
    "manifest": {
        "job_label": "//old:j",
        "code_digest": "c",
        "configuration_digest": "d",
        "inputs": [{"ref": "raw", "version": "b.1.1"}, {"ref": "seen", "query": True}],
    },
    "metadata": {"rows": 842},
}
VOUCHED_FOR = {"ref": "q", "version": "old/1", "adoption": {"author": "bob", "reason": "made by hand"}}


def taken_over() -> list[ev.AdoptedRecord]:
    return [ParseDict(record, ev.AdoptedRecord()) for record in (KNOWN, VOUCHED_FOR)]


async def test_data_adopted_from_another_log_keeps_version_metadata_and_manifest(log: EventLog) -> None:
    await take_over(log, "a", *taken_over())

    record = records(log, "p")["p"]
    assert (record.status, record.available, record.adopted) == ("AVAILABLE", True, False)
    assert (record.version, record.metadata, record.job_run_id) == ("sha256:1", {"rows": 842}, "")
    inputs = (InputVersion("raw", "b.1.1"), InputVersion("seen", "", query=True))
    assert record.manifest == Manifest("//old:j", "c", "d", inputs)
    assert record.adoption == ("a", "ann", "renamed", 100.5)
    assert record.produced_by_build_request_id == "a"


async def test_an_adoption_in_another_log_keeps_its_author(log: EventLog) -> None:
    await take_over(log, "a", *taken_over())

    record = records(log, "q")["q"]
    assert (record.version, record.manifest, record.adopted) == ("old/1", None, True)
    assert record.adoption == ("a", "bob", "made by hand", 100.5)


async def test_a_build_replaces_data_adopted_from_another_log(log: EventLog) -> None:
    await take_over(log, "a", *taken_over())
    one = await begin(log, "b", "p")
    await produce(one, 1, "p")

    record = records(log, "p")["p"]
    assert (record.adoption, record.version, record.metadata) == (None, "b.1.1", {})
    assert present(record.manifest).code_digest != "c"


async def test_adoptions_are_rebuilt_from_the_log(store: Store) -> None:
    log = open_event_log(store.uri)
    await adopt(log, "a1", "p", "q", "r")
    await take_over(
        log, "a0", ev.AdoptedRecord(ref="s"), *(ParseDict({**KNOWN, "ref": ref}, ev.AdoptedRecord()) for ref in "tu")
    )
    await taint(log, "t", "q")
    one = await begin(log, "b", "p")
    await produce(one, 1, "p")
    await adopt(log, "a2", "p", force=True)
    await log.close()

    before = read_models(store)
    writer = store.write()
    writer.rebuild()
    writer.close()

    assert read_models(store) == before
