"""Plans look for data as builds do: on the command line, with a service, and for its callers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import grpc
import pytest

from databuild.client import DatabuildClient
from databuild.errors import InvalidRequestError, StorageError
from databuild.model.enum_names import reason_name
from databuild.v1 import service_pb2 as sv
from databuild.v1.service_pb2_grpc import DataBuildServiceStub
from tests.support.script_graph import NUMBER, ScriptGraph

Reasons: TypeAlias = dict[str, str]
PARTITIONS = ["sum/bb_ccc", "number/q", "sum/x_y"]
LOST = {"none": [], "inputs": ["bb"], "requested": ["bb", "q"], "all": ["bb", "q", "x"]}


@pytest.fixture
def graph(graph: ScriptGraph) -> ScriptGraph:
    """Returns a graph whose numbers report the paths of their files; two sums and a number are built."""
    length = r"\"length\": ${#name}"
    path = r"\"path\": \"data/number-$name\""
    (graph.folder / "number").write_text(NUMBER.replace(length, f"{length}, {path}"))
    graph("build", "sum/a_bb", "sum/x_y", "number/q")
    return graph


def command_line(graph: ScriptGraph, policy: str) -> Reasons:
    _, plan = graph.json("plan", *PARTITIONS, *([f"--verify={policy}"] if policy else []))
    return {one["ref"]: one["reason"] for one in plan["partitions"]}


def remote_command_line(graph: ScriptGraph, policy: str) -> Reasons:
    flags = [f"--verify={policy}"] if policy else []
    server = graph.serve().addresses["grpc"]
    _, plan = graph.json("plan", f"--server={server}", *PARTITIONS, *flags)
    return {one["ref"]: one["reason"] for one in plan["partitions"]}


def over_grpc(graph: ScriptGraph, policy: str) -> Reasons:
    request = sv.PlanBuildRequest(partitions=PARTITIONS)
    if policy:
        request = sv.PlanBuildRequest(partitions=PARTITIONS, verify=f"VERIFY_POLICY_{policy.upper()}")
    with grpc.insecure_channel(graph.serve().addresses["grpc"]) as channel:
        plan = DataBuildServiceStub(channel).PlanBuild(request)
    return {one.ref: reason_name(one.reason) for one in plan.partitions}


def over_http(graph: ScriptGraph, policy: str) -> Reasons:
    body: dict[str, Any] = {"partitions": PARTITIONS}
    if policy:
        body["verify"] = f"VERIFY_POLICY_{policy.upper()}"
    status, plan = graph.serve().ask("POST", "/api/v1/plans", body)
    assert status == 200, plan
    return {one["ref"]: one["reason"].removeprefix("REASON_") for one in plan["partitions"]}


def by_client(graph: ScriptGraph, policy: str) -> Reasons:
    with DatabuildClient(graph.serve().addresses["grpc"]) as client:
        plan = client.plan(PARTITIONS, verify=policy) if policy else client.plan(PARTITIONS)
    return {one.ref: reason_name(one.reason) for one in plan.partitions}


WAYS: tuple[Callable[[ScriptGraph, str], Reasons], ...] = (
    command_line,
    remote_command_line,
    over_grpc,
    over_http,
    by_client,
)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("policy", ["", "none", "inputs", "requested", "all"])
def test_every_way_plans_lost_data_to_be_made_again(
    graph: ScriptGraph, way: Callable[[ScriptGraph, str], Reasons], policy: str
) -> None:
    for name in ("bb", "q", "x"):
        (graph.folder / "data" / f"number-{name}").unlink()
    events = graph("events", "--all")[1]

    reasons = way(graph, policy)

    lost = [ref.removeprefix("number/") for ref, reason in reasons.items() if reason == "LOST"]
    assert lost == LOST[policy or "inputs"]
    assert graph("events", "--all")[1] == events
    assert graph.json("partitions", "--status=MISSING")[1]["partitions"] == []


def test_a_plan_file_with_losses_is_run_exactly(graph: ScriptGraph) -> None:
    (graph.folder / "data" / "number-bb").unlink()
    graph("plan", "sum/bb_ccc", "--output=plan.pb")

    code, result = graph.json("build", "--plan=plan.pb")

    assert (code, result["built"]) == (0, ["number/bb", "number/ccc", "sum/bb_ccc"])


def test_a_folder_that_is_gone_is_named(graph: ScriptGraph) -> None:
    graph("build", *(f"number/n{number}" for number in range(10)))
    (graph.folder / "data").rename(graph.folder / "elsewhere")

    code, _, err = graph("plan", "sum/n1_n2")
    assert code == 3
    assert f"{graph.folder}/data does not exist, where 15 or more partitions were" in err
    assert "--verify=none" in err
    assert graph("plan", "sum/n1_n2", "--verify=none")[0] == 0
    served = graph.serve()
    assert served.ask("POST", "/api/v1/plans", {"partitions": ["sum/n1_n2"]})[1]["error"]["code"] == "STORAGE"
    with DatabuildClient(served.addresses["grpc"]) as client:
        with pytest.raises(StorageError, match="its disk may not be mounted"):
            client.plan(["sum/n1_n2"])
        with pytest.raises(InvalidRequestError, match="verify is 'some'; it must be one of none, inputs"):
            client.plan(["sum/n1_n2"], verify="some")


def test_an_unknown_policy_is_refused(graph: ScriptGraph) -> None:
    assert graph("plan", "sum/a_bb", "--verify=some")[0] == 2
    status, answer = graph.serve().ask("POST", "/api/v1/plans", {"partitions": ["sum/a_bb"], "verify": 9})
    assert (status, answer["error"]["code"]) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize("served", [False, True])
def test_explain_looks_for_data_as_a_plan_does(graph: ScriptGraph, served: bool) -> None:
    (graph.folder / "data" / "number-bb").unlink()
    flags = [f"--server={graph.serve().addresses['grpc']}"] if served else []

    assert graph.json("explain", "number/bb", *flags)[1]["planned"]["reason"] == "UP_TO_DATE"
    assert graph.json("explain", "number/bb", "--verify=requested", *flags)[1]["planned"]["reason"] == "LOST"
    assert "with 3 tasks in total" in graph("explain", "sum/bb_ccc", *flags)[1]
    assert "with 2 tasks in total" in graph("explain", "sum/bb_ccc", "--verify=none", *flags)[1]


def test_explain_says_that_an_input_was_changed_after_it_was_recorded(graph: ScriptGraph) -> None:
    (graph.folder / "data" / "number-bb").write_text("7")
    assert graph("build", "sum/a_bb", "--force")[0] == 0

    code, text, err = graph("explain", "sum/a_bb")
    assert code == 0
    assert "input      number/bb (changed after it was recorded: 1 B, version " in text
    assert "a build    would use it as it is (up to date)" in text
    assert "has changed in its store" in err
    inputs = graph.json("explain", "sum/a_bb")[1]["record"]["manifest"]["inputs"]
    assert inputs[1]["version"].startswith("unrecorded:1:")
