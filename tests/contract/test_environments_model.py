"""A base and two environments agree with a simple model after any sequence of builds, losses, taints and promotions."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from databuild.errors import PromotionRefusedError
from databuild.event_log.downstream import downstream
from databuild.event_log.log import EventLog
from databuild.event_log.open import environments, open_event_log, open_overlay_reader, open_reader, remove_environment
from databuild.event_log.reads import Reader
from databuild.event_log.verify import verify
from databuild.graph.catalog import Job, JobCatalog
from databuild.model.environment_views import Promotion
from databuild.model.results import Failed, Success
from databuild.orchestration.environments.promotion import promote
from databuild.orchestration.events.payloads import job_event, partition_missing
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt
from tests.support.step_builds import begin, taint
from tests.support.stores import PostgresqlDatabases, SqliteFiles

INPUTS: dict[str, tuple[str, ...]] = {"p": (), "q": ("p",), "r": ("p", "q"), "s": ("r",)}
"""The inputs of each partition."""

BASE = ""
LOGS = (BASE, "a", "b")
JOB = "//:j"
CATALOG = JobCatalog(graph_label="//:g", jobs={JOB: Job(label=JOB, executable="j", outputs=(), code_digest="1")})

some_ref = st.sampled_from(sorted(INPUTS))
some_log = st.sampled_from(LOGS)
some_environment = st.sampled_from(LOGS[1:])


class Data(NamedTuple):
    """The data of a partition in one log."""

    version: str
    code: str
    inputs: dict[str, str]
    available: bool = True
    tainted: bool = False


class World(RuleBasedStateMachine):
    """The logs, beside the data that each of them should have."""

    def __init__(self, uri: str) -> None:
        super().__init__()
        self.uri = uri
        self.loop = asyncio.Runner()
        self.names = (f"b{number:03}" for number in itertools.count())
        self.own: dict[str, dict[str, Data]] = {name: {} for name in LOGS}
        self.logs: dict[str, EventLog] = {}
        self.make_log(BASE)

    def make_log(self, name: str) -> EventLog:
        if name not in self.logs:
            self.logs[name] = self.loop.run(self._open(name))
        return self.logs[name]

    async def _open(self, name: str) -> EventLog:
        return open_event_log(self.uri, environment=name)

    def seen(self, name: str, ref: str) -> Data | None:
        """Returns the data of a partition that readers of a log should see."""
        own, base = self.own[name].get(ref), self.own[BASE].get(ref)
        if own is None or name == BASE:
            return own or base
        hidden = base is None or not base.available or base.version == own.version
        return own if own.available or hidden else base

    @rule(name=some_log, ref=some_ref, code=st.sampled_from(["1", "2"]), digest=st.sampled_from(["", "same"]))
    def build(self, name: str, ref: str, code: str, digest: str) -> None:
        inputs = {used: data.version for used in INPUTS[ref] if (data := self.seen(name, used)) is not None}
        build = next(self.names)
        self.loop.run(self._build(self.make_log(name), build, ref, code, digest, inputs))
        self.own[name][ref] = Data(digest or f"{build}.1.1", code, inputs)

    async def _build(self, log: EventLog, build: str, ref: str, code: str, digest: str, inputs: dict[str, str]) -> None:
        one = await begin(log, build, ref)
        run = f"{build}.1.1"
        one.emit_job_scheduled(run, 1, JOB)
        running = job_event(run, 1, JOB, ev.JOB_STATUS_RUNNING)
        running.manifest.job_label, running.manifest.code_digest = JOB, code
        for used, version in inputs.items():
            running.manifest.inputs.add(ref=used, version=version)
        one.emit(("job", running))
        one.emit_partition_building(ref, 1, run)
        one.emit_job_completed(run, 1, JOB)
        one.emit_partition_available(ref, 1, run, digest, {"by": build})
        await one.complete_build(Success(jobs_completed=1))

    @rule(name=some_log, ref=some_ref)
    def taint(self, name: str, ref: str) -> None:
        data = self.seen(name, ref)
        if data is not None and data.available:
            self.loop.run(taint(self.make_log(name), next(self.names), ref))
            self.own[name][ref] = data._replace(tainted=True)

    @rule(name=some_log, ref=some_ref, by_build=st.booleans())
    def lose(self, name: str, ref: str, by_build: bool) -> None:
        data = self.seen(name, ref)
        if data is not None and data.available:
            lose = self._lose_in_build if by_build else self._lose
            self.loop.run(lose(self.make_log(name), next(self.names), ref, data.version))
            # A copy of data of the base has no taint.
            tainted = data.tainted and self.own[name].get(ref) == data
            self.own[name][ref] = data._replace(available=False, tainted=tainted)

    async def _lose(self, log: EventLog, operation: str, ref: str, version: str) -> None:
        event = ev.BuildEvent(event_id=f"{operation}/1", build_request_id=operation, sequence=1)
        event.time.FromMilliseconds(100_500)
        event.missing.author = "ann"
        event.missing.partitions.add(ref=ref, version=version)
        await log.append([event])

    async def _lose_in_build(self, log: EventLog, build: str, ref: str, version: str) -> None:
        one = await begin(log, build)
        await one.emit(partition_missing(ref, version))
        await one.complete_build(Failed(category=pt.FAILURE_CATEGORY_USER, message="no"))

    @rule(name=some_environment, refs=st.lists(some_ref, unique=True))
    def promote(self, name: str, refs: list[str]) -> None:
        if name not in self.logs:
            return
        allowed = self.promotable(name, refs)
        if set(refs) - allowed:
            with pytest.raises(PromotionRefusedError) as refused:
                self.loop.run(self.promotion(name, refs))
            assert set(refs) - allowed == set(refused.value.faults)
            return
        assert set(self.loop.run(self.promotion(name, refs)).promoted) == allowed
        for ref in allowed:
            self.own[BASE][ref] = self.own[name][ref]

    def promotable(self, name: str, refs: list[str]) -> set[str]:
        own, base = self.own[name], {ref: data for ref, data in self.own[BASE].items() if data.available}
        allowed = {ref for ref in refs or own if ref in own and own[ref].available and not own[ref].tainted}
        allowed = {ref for ref in allowed if own[ref].code == "1"}
        if not refs:
            allowed = {ref for ref in allowed if ref not in base or base[ref][:3] != own[ref][:3]}
        while True:
            after = {ref: data.version for ref, data in base.items()} | {ref: own[ref].version for ref in allowed}
            kept = {
                ref for ref in allowed if all(after.get(used) == version for used, version in own[ref].inputs.items())
            }
            if kept == allowed:
                return allowed
            allowed = kept

    async def promotion(self, name: str, refs: list[str]) -> Promotion:
        with contextlib.closing(open_overlay_reader(self.uri, name)) as reader:
            return await promote(
                refs,
                environment=name,
                reader=reader,
                event_log=self.logs[BASE],
                catalog=CATALOG,
                operation_id=next(self.names),
                author="ann",
                clock=lambda: 100.0,
            )

    @rule(name=some_environment)
    def remove(self, name: str) -> None:
        if name in self.logs:
            self.loop.run(self.logs.pop(name).close())
            remove_environment(self.uri, name)
            self.own[name] = {}

    @invariant()
    def readers_see_the_model(self) -> None:
        assert environments(self.uri) == sorted(name for name in self.logs if name)
        for name in self.logs:
            with contextlib.closing(open_reader(self.uri, name)) as reader:
                self.check(reader, {ref: data for ref in INPUTS if (data := self.seen(name, ref)) is not None})
                assert verify(reader).reported == ()

    def check(self, reader: Reader, seen: dict[str, Data]) -> None:
        refs = list(INPUTS)
        expected = {ref: (data.version, data.available, data.tainted) for ref, data in seen.items()}
        states = reader.partition_states(refs)
        assert {ref: (one.version, one.available, one.tainted) for ref, one in states.items()} == expected
        records = reader.partition_records(refs)
        assert {ref: (one.version, one.available, one.tainted) for ref, one in records.items()} == expected
        for limit in (1, 10):
            listed: list[Any] = []
            while len(page := reader.partitions(after=listed[-1].ref if listed else "", limit=limit)) == limit:
                listed += page
            assert [*listed, *page] == [records[ref] for ref in sorted(records)]
        available = {ref for ref, data in seen.items() if data.available}
        assert reader.metadata_of(refs) == {ref: records[ref].metadata for ref in available}
        assert {data.ref for data in reader.stored_data_of(refs)} == available
        assert [data.ref for data in reader.stored_data_under(limit=2)] == sorted(available)[:2]
        tainted = {ref for ref in seen if states[ref].tainted}
        assert {one.ref for one in reader.partitions(status="TAINTED")} == tainted
        statuses = [states[ref].status for ref in seen]
        counts = {status: statuses.count(status) for status in statuses} | (
            {"TAINTED": len(tainted)} if tainted else {}
        )
        assert reader.partition_counts() == counts
        shown = ["TAINTED" if ref in tainted else states[ref].status for ref in sorted(seen)]
        assert reader.counts_under("") == {status: shown.count(status) for status in shown}
        assert reader.statuses_under("") == list(zip(sorted(seen), shown, strict=True))
        for limit in (1, 10):
            pairs = set()
            token = ""
            while True:
                page_ = downstream(reader, refs, transitive=False, limit=limit, page_token=token)
                pairs |= {(one.input, one.ref) for one in page_.partitions}
                token = page_.next_page_token
                if not token:
                    break
            assert pairs == {(used, ref) for ref, data in seen.items() for used in data.inputs}

    def teardown(self) -> None:
        for log in self.logs.values():
            self.loop.run(log.close())
        self.loop.close()


@pytest.mark.parametrize("base_code", ["1", "2"])
def test_data_with_the_content_of_the_base_is_promoted_if_other_code_has_made_it(
    tmp_path: Path, base_code: str
) -> None:
    world = World(SqliteFiles(tmp_path).uri)
    world.build(BASE, "p", base_code, "same")
    world.build("a", "p", "1", "same")

    promotion = world.loop.run(world.promotion("a", []))
    assert promotion.promoted == (() if base_code == "1" else ("p",))
    assert world.loop.run(world.promotion("a", [])).promoted == ()
    world.teardown()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_base_and_environments_agree_with_the_model(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    numbers = itertools.count()

    class WorldOverNewLog(World):
        def __init__(self) -> None:
            if kind == "sqlite":
                super().__init__(SqliteFiles(tmp_path / str(next(numbers))).uri)
            else:
                super().__init__(PostgresqlDatabases(request.getfixturevalue("server")).uri)

    run_state_machine_as_test(
        WorldOverNewLog,
        settings=settings(
            max_examples=30 if kind == "sqlite" else 8,
            stateful_step_count=20,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
