"""`build [PARTITION...]`: builds partitions and whatever they need."""

from __future__ import annotations

from pathlib import Path

from databuild.cli.backend.backend import BuildOrder
from databuild.cli.backend.build_flags import build_options, plan_options
from databuild.cli.backend.building import show_build
from databuild.cli.backend.invocation import Invocation
from databuild.cli.backend.plan_file import read_plan
from databuild.cli.flags.full_parse import UsageError
from databuild.errors import InvalidRequestError
from databuild.model.build_options import PlanOptions


def run(call: Invocation) -> int:
    """Builds what is asked for, or what a plan says."""
    flags = call.flags
    if flags["dry_run"]:
        from databuild.cli.commands import plan as plan_command

        if flags["plan"]:
            raise UsageError("--dry_run makes a plan of its own; give only one of --dry_run and --plan", "build")
        return plan_command.run(call)
    plan = None
    if flags["plan"]:
        if call.positionals:
            raise InvalidRequestError("--plan says what to build; name no partition beside it")
        if plan_options(flags) != PlanOptions():
            raise UsageError("--plan says what is forced and what is reused; give neither --force nor --stale", "build")
        plan = read_plan(Path(call.path(flags["plan"])))
        if plan.graph_label != call.graph_label:
            raise InvalidRequestError(f"the plan is of the graph {plan.graph_label}, and this is {call.graph_label}")
    order = BuildOrder(flags["build_request_id"], build_options(flags), plan)
    return show_build(call, lambda display: call.backend().build(call.positionals, order, display))
