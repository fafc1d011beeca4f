"""Environments over HTTP and gRPC."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from databuild.client import AsyncDatabuildClient
from databuild.errors import EnvironmentNotFoundError, PromotionRefusedError, UnknownPartitionError
from databuild.event_log.log import EventLog
from databuild.event_log.open import EnvironmentLogs, open_event_log
from databuild.orchestration.build.settings import Settings
from databuild.orchestration.events.orchestrator import BuildOrchestrator
from databuild.service.graph.environments import Environments
from databuild.service.graph.graph_service import GraphService
from databuild.service.resources.limits import Limits
from tests.support.present import present
from tests.support.served import Serve, Served, error_of
from tests.support.world import FakeExecutor, catalog

PR = {"Databuild-Environment": "pr-1"}


@pytest.fixture
async def served(serve: Serve, tmp_path: Path) -> Served:
    return await serve(uri=f"sqlite:{tmp_path}/events.db")


async def built_in(served: Served, environment: str, *partitions: str) -> str:
    """Builds partitions in an environment, and returns the id of the build after its end."""
    answer = await served.post(
        "/builds",
        {"partitions": partitions, "options": {"plan": {"force": True}}},
        {"Databuild-Environment": environment},
    )
    assert answer.status_code == 200, answer.text
    build: str = answer.json()["build_request_id"]
    await served.events(f"/builds/{build}/watch", environment=environment)
    return build


async def test_requests_name_their_environment_by_header_or_by_query(served: Served) -> None:
    base = await served.build("clean/1")
    build = await built_in(served, "pr-1", "clean/1")

    by_query = (await served.get("/builds", environment="pr-1")).json()["builds"]
    by_header = (await served.client.get("/api/v1/builds", headers=PR)).json()["builds"]
    assert [one["build_request_id"] for one in by_query] == [build]
    assert by_header == by_query
    assert [one["build_request_id"] for one in (await served.get("/builds")).json()["builds"]] == [base]
    own = (await served.get("/partition", ref="clean/1", environment="pr-1")).json()["record"]
    assert own["produced_by_build_request_id"] == build
    other = (await served.get("/partition", ref="clean/1")).json()["record"]
    assert other["produced_by_build_request_id"] == base
    events = (await served.get(f"/builds/{build}/events", environment="pr-1")).json()["events"]
    assert events[0]["build_request"]["environment"] == "pr-1"
    assert error_of(await served.get(f"/builds/{build}")) == (404, "BUILD_NOT_FOUND")
    run = (await served.get(f"/builds/{build}/job_runs", environment="pr-1")).json()["job_runs"][0]["job_run_id"]
    log = await served.get(f"/job_runs/{run}/log/download", environment="pr-1", stream="stdout")
    assert log.text.startswith("made ")
    assert (await served.get(f"/builds/{build}/graph.svg", environment="pr-1")).status_code == 200


async def test_builds_with_the_same_id_in_two_environments_are_watched_apart(served: Served) -> None:
    watched = {}
    for environment in ("pr-1", "pr-2"):
        await served.post(
            "/builds", {"build_request_id": "b", "partitions": ["clean/1"]}, {"Databuild-Environment": environment}
        )
        watched[environment] = await served.events("/builds/b/watch", environment=environment)

    for environment, events in watched.items():
        assert events[0][2]["build_request"]["environment"] == environment
        assert events[-1][1] == "end"


async def test_only_requests_that_change_something_make_an_environment(served: Served) -> None:
    await served.build("clean/1")

    plan = await served.post("/plans", {"partitions": ["clean/1"]}, PR)
    assert plan.json().get("tasks", []) == []
    assert error_of(await served.get("/builds", environment="pr-1")) == (404, "ENVIRONMENT_NOT_FOUND")
    assert error_of(await served.get("/builds", environment="PR 1")) == (400, "INVALID_REQUEST")
    assert (await served.get("/environments")).json() == {"environments": []}
    await served.post("/taints", {"partitions": ["raw/1"], "reason": "wrong"}, PR)

    names = [one["name"] for one in (await served.get("/environments")).json()["environments"]]
    assert names == ["pr-1"]
    partition = (await served.get("/partition", ref="raw/1")).json()["record"]
    assert not partition.get("tainted")


REFUSED: Mapping[str, tuple[str, Mapping[str, object], str]] = {
    "unknown partition": ("/builds", {"partitions": ["nothing"]}, "UNKNOWN_PARTITION"),
    "invalid id": ("/builds", {"build_request_id": "latest", "partitions": ["raw/1"]}, "INVALID_REQUEST"),
    "invalid option": ("/builds", {"partitions": ["raw/1"], "options": {"jobs": 10**6}}, "INVALID_REQUEST"),
    "unknown executor": ("/builds", {"partitions": ["raw/1"], "options": {"executor": "dask:"}}, "INVALID_REQUEST"),
    "nothing downstream": ("/builds", {"partitions": ["clean/1"], "downstream": True}, "NOTHING_DOWNSTREAM"),
    "id of another build": ("/builds", {"build_request_id": "b", "partitions": ["raw/1"]}, "BUILD_CONFLICT"),
    "retry": ("/builds/latest/retry", {}, "ENVIRONMENT_NOT_FOUND"),
    "taint without partitions": ("/taints", {"reason": "x"}, "INVALID_REQUEST"),
    "taint without record": ("/taints", {"partitions": ["raw/2"], "reason": "x"}, "INVALID_REQUEST"),
    "adoption without reason": ("/adoptions", {"partitions": ["raw/2"]}, "INVALID_REQUEST"),
    "adoption of unknown": ("/adoptions", {"partitions": ["nothing"], "reason": "x"}, "UNKNOWN_PARTITION"),
}


@pytest.mark.parametrize("request_name", REFUSED)
async def test_refused_requests_make_no_environment(served: Served, request_name: str) -> None:
    path, body, code = REFUSED[request_name]
    await served.build("clean/1")
    await served.post("/builds", {"build_request_id": "b", "partitions": ["clean/1"]})
    await served.events("/builds/b/watch")

    answer = await served.post(path, body, PR)
    assert error_of(answer)[1] == code
    assert (await served.get("/environments")).json() == {"environments": []}


async def test_refused_requests_of_clients_make_no_environment(served: Served) -> None:
    async with AsyncDatabuildClient(served.grpc, environment="pr-1") as client:
        with pytest.raises(EnvironmentNotFoundError):
            await client.retry()
        with pytest.raises(UnknownPartitionError):
            await client.submit(["nothing"])
        names = [one.name for one in await client.environments()]

    assert names == []


async def test_environments_are_compared_promoted_and_removed_by_the_client(served: Served) -> None:
    await served.build("raw/1")
    await built_in(served, "pr-1", "raw/1", "raw/2")
    async with AsyncDatabuildClient(served.grpc, author="ann") as client:
        (view,) = await client.environments()
        compared = [one async for one in client.compare_environment("pr-1")]
        promotion = await client.promote_environment("pr-1", ["raw/1"], reason="merged")
        with pytest.raises(PromotionRefusedError, match="no data of its own"):
            await client.promote_environment("pr-1", ["raw/3"])
        removed = await client.remove_environment("pr-1")
        with pytest.raises(EnvironmentNotFoundError):
            await client.remove_environment("pr-1")
        record = present((await client.partition("raw/1")).record)

    assert (view.name, view.builds, view.partitions) == ("pr-1", 1, 2)
    assert [(one.ref, one.status) for one in compared] == [("raw/1", "CHANGED"), ("raw/2", "NEW")]
    assert (promotion.promoted, promotion.author) == (("raw/1",), "ann")
    assert removed.name == "pr-1"
    assert present(record.adoption)[1:3] == ("ann", "merged")


@pytest.mark.parametrize("path", ["forgettings", "deletions", "cleanings"])
async def test_data_of_single_partitions_is_not_removed_in_an_environment(served: Served, path: str) -> None:
    await built_in(served, "pr-1", "clean/1")
    body = {} if path == "cleanings" else {"partitions": ["clean/1"], "reason": "x"}

    assert error_of(await served.post(f"/{path}", body, PR)) == (400, "INVALID_REQUEST")


async def test_comparisons_are_paged(served: Served) -> None:
    await built_in(served, "pr-1", "raw/1", "raw/2", "raw/3")

    first = (await served.get("/environments/pr-1/comparison", page_size=2)).json()
    second = (await served.get("/environments/pr-1/comparison", page_size=2, page_token="raw/2")).json()
    assert [one["ref"] for one in first["comparisons"]] == ["raw/1", "raw/2"]
    assert first["next_page_token"] == "raw/2"
    assert [one["ref"] for one in second["comparisons"]] == ["raw/3"]
    assert error_of(await served.get("/environments/pr-1/comparison", page_size=1001)) == (400, "INVALID_REQUEST")


async def test_an_environment_with_builds_is_not_removed(served: Served) -> None:
    gate = served.executor.gate("raw/1")
    await served.post("/builds", {"partitions": ["raw/1"], "build_request_id": "b"}, PR)
    await gate.reached.wait()

    assert error_of(await served.post("/environments/pr-1/removal")) == (409, "ENVIRONMENT_IN_USE")
    gate.open()
    await served.events("/builds/b/watch", environment="pr-1")
    assert (await served.post("/environments/pr-1/removal")).status_code == 200
    assert error_of(await served.get("/builds", environment="pr-1")) == (404, "ENVIRONMENT_NOT_FOUND")


async def test_a_service_over_a_log_in_memory_has_no_environments(serve: Serve) -> None:
    served = await serve()

    assert (await served.get("/environments")).json() == {"environments": []}
    answer = await served.post("/builds", {"partitions": ["raw/1"]}, PR)
    assert error_of(answer) == (400, "INVALID_REQUEST")


@asynccontextmanager
async def environments_in(folder: Path, clock: list[float]) -> AsyncIterator[tuple[Environments, list[str]]]:
    """Returns environments, and the names of those whose services were made, in order."""
    uri = f"sqlite:{folder}/events.db"
    base = open_event_log(uri)
    made: list[str] = []
    settings = Settings(working_directory="/", log_directory=f"{folder}/logs")

    def make_service(name: str, log: EventLog) -> GraphService:
        made.append(name)
        return GraphService(
            catalog=catalog(),
            event_log=log,
            make_executor=FakeExecutor,
            settings=settings.in_environment(name),
            owns_engines=False,
        )

    environments = Environments(
        EnvironmentLogs(uri),
        base_log=base,
        catalog=catalog(),
        limits=Limits(),
        make_service=make_service,
        folder_of=settings.environment_folder,
        clock=lambda: clock[0],
    )
    yield environments, made
    await environments.close()
    await base.close()


async def test_services_of_environments_that_nobody_uses_stop(tmp_path: Path) -> None:
    clock = [0.0]
    async with environments_in(tmp_path, clock) as (environments, made):
        first = await environments.service("a", create=True)
        await environments.service("b", create=True)
        clock[0] = 500.0
        assert await environments.service("a", create=False) is first
        clock[0] = 700.0
        await environments.service("c", create=True)
        assert await environments.service("a", create=False) is first
        await environments.service("b", create=False)

    assert made == ["a", "b", "c", "b"]


async def test_a_service_that_starts_ends_the_dead_builds_of_environments(tmp_path: Path) -> None:
    log = open_event_log(f"sqlite:{tmp_path}/events.db", environment="a")
    await log.renew_lease("dead", "nowhere:1", -1.0)
    await BuildOrchestrator(log, "dead", ["raw/1"]).start_build(graph_label="//:g")
    await log.close()
    open_event_log(f"sqlite:{tmp_path}/events.db", environment="idle")
    async with environments_in(tmp_path, [0.0]) as (environments, made):
        await environments.start()

        service = await environments.service("a", create=False)
        assert (await service.builds.get("dead")).build.status == "FAILED"
    assert made == ["a"]
