"""The imports of commands: each module takes time at every start."""

from __future__ import annotations

import pytest

from tests.support.script_graph import ScriptGraph

PROGRAM = """
import sys, os
from databuild.cli import main
os._exit = sys.exit
try: main.main()
except SystemExit: pass
print(*sorted(name for name, module in sys.modules.items() if type(module).__name__ != "_LazyModule"), file=sys.stderr)
"""
"""Prints the modules that were loaded at the end of the command."""

IMPORTED_BY_BUILD = {
    "databuild": "error_codes errors lazy_modules remedies tuples user",
    "databuild.cli": "main quick_asyncio",
    "databuild.cli.backend": (
        "backend build_flags build_outcome build_session build_settings engines exporting invocation job_environment "
        "local_backend local_build log_stores origin records requested_partitions state_directories summary"
    ),
    "databuild.cli.commands": "build",
    "databuild.cli.display": "build_display error_text formats notices output progress",
    "databuild.cli.flags": "command_table exit_codes flag_table quick_parse usage_error",
    "databuild.event_log": (
        "coordination fair_shares grants group_commit liveness log open projection queries reads rows sql_reader tables"
    ),
    "databuild.event_log.sqlite": "claims connection log reader snapshots statements uses writer",
    "databuild.executors": (
        "capacity cgroups command_size descriptor_limit engines executor fd_poller interpreters local "
        "out_of_memory output process_end process_group report_file running_process spawning start_faults starter "
        "uncancellable watchdog"
    ),
    "databuild.graph": (
        "analysis assembly batches catalog config_comparison config_digests field_types freshness job_configs "
        "job_protocol labels memo numbering ownership partition_graph patterns periods plan_changes "
        "planning_monitor ports reasons record_cache refs"
    ),
    "databuild.model": (
        "build_counts build_options build_request_id enum_names executor_uri job_graph job_run_id lifecycle "
        "metadata pacing paging plan_messages planning records results statuses trace_context"
    ),
    "databuild.orchestration.build": (
        "admission build_context cancellation continued_builds data_checks downstream_request make_plan "
        "recording run_build settings"
    ),
    "databuild.orchestration.coordination": "build_ids claim_batch coordination dead_builds late_results versions",
    "databuild.orchestration.events": "mock_event_log orchestrator payloads plan_events telemetry",
    "databuild.orchestration.jobs": (
        "config_process job_runner lookup_process past_configs process_faults reports resources task_access "
        "task_server worker_spec"
    ),
    "databuild.orchestration.logs": "build_logs log_files",
    "databuild.orchestration.stores": "used_data",
    "databuild.v1": "events_pb2 job_pb2 partition_pb2 plan_pb2",
}
"""The modules of a build that finds everything available, by package. Others are imported when something needs them."""


def imported(graph: ScriptGraph, *arguments: str) -> set[str]:
    code, _, err = graph.run(*arguments, program=PROGRAM)

    assert code == 0
    return set(err.splitlines()[-1].split())


@pytest.mark.parametrize("command", ["status", "builds", "partitions", "logs"])
def test_commands_that_only_read_import_no_more_than_they_need(graph: ScriptGraph, command: str) -> None:
    graph.run("build")

    heavy = {"grpc", "asyncio", "absl", "google.protobuf", "pathlib", "dataclasses", "databuild.client", "uvicorn"}
    assert heavy.intersection(imported(graph, command)) == set()


def test_a_build_imports_no_more_than_it_needs(graph: ScriptGraph) -> None:
    expected = {f"{package}.{name}" for package, names in IMPORTED_BY_BUILD.items() for name in names.split()}
    graph.run("build")

    modules = imported(graph, "build", "--jobs=1")

    ours = {name for name in modules if name.startswith("databuild.")}
    assert {name for name in ours if not any(other.startswith(f"{name}.") for other in ours)} == expected
    heavy = {
        "grpc",
        "absl",
        "dataclasses",
        "pathlib",
        "difflib",
        "inspect",
        "random",
        "ssl",
        "google.protobuf.text_format",
    }
    assert heavy & modules == set()


def test_a_plan_imports_its_own_modules_and_those_of_a_build(graph: ScriptGraph) -> None:
    graph.run("build")

    of_plan, of_build = (imported(graph, command, "number/ab") for command in ("plan", "build"))

    assert of_plan - of_build == {
        "databuild.cli.backend.local_plan",
        "databuild.cli.commands.plan",
        "databuild.cli.display.planning_display",
        "databuild.orchestration.stores.planned_losses",
    }
    assert "databuild.event_log.sqlite.writer" not in of_plan
