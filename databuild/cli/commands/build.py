"""`build [PARTITION...]`: builds partitions and everything that they need."""

from __future__ import annotations

from databuild.cli.backend.backend import BuildOrder
from databuild.cli.backend.build_flags import build_options, check_downstream, plan_options
from databuild.cli.backend.build_session import show_build
from databuild.cli.backend.invocation import Invocation
from databuild.cli.flags.usage_error import UsageError
from databuild.errors import InvalidRequestError
from databuild.model.build_options import PlanOptions


def run(call: Invocation) -> int:
    """Builds the requested partitions, or those of a plan."""
    flags = call.flags
    if flags["dry_run"]:
        from databuild.cli.commands import plan as plan_command

        if flags["plan"]:
            raise UsageError("--dry_run makes a new plan, and --plan names a plan; give only one of them", "build")
        return plan_command.run(call)
    plan = None
    if flags["plan"]:
        from pathlib import Path

        from databuild.cli.backend.plan_file import read_plan

        if call.positionals or flags["downstream"]:
            message = "--plan already names the partitions to build; give no PARTITION and no --downstream beside it"
            raise InvalidRequestError(message)
        if plan_options(flags) != PlanOptions():
            raise UsageError("--plan already has the values of --force and --stale; give neither of them", "build")
        plan = read_plan(Path(call.path(flags["plan"])))
        if plan.graph_label != call.graph_label:
            raise InvalidRequestError(f"the plan is of the graph {plan.graph_label}, not of {call.graph_label}")
    check_downstream(call)
    order = BuildOrder(flags["build_request_id"], build_options(flags), plan, flags["downstream"])
    return show_build(call, lambda display: call.backend().build(call.positionals, order, display))
