"""The options of builds and plans, as the flags of the command line set them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from databuild.cli.backend.invocation import Invocation
from databuild.cli.flags.usage_error import UsageError
from databuild.model.build_options import BuildOptions, PlanOptions


def check_downstream(call: Invocation) -> None:
    """Checks that `--downstream` has partitions to begin at: the default ones of the graph are ends, not beginnings.

    Raises:
        UsageError: There are none.
    """
    if call.flags["downstream"] and not call.positionals:
        raise UsageError("--downstream takes at least one PARTITION, whose downstream is meant", call.command)


def plan_options(flags: Mapping[str, Any]) -> PlanOptions:
    """Returns the options of a plan. A flag that the command does not have counts as its default."""
    return PlanOptions(force=flags.get("force", False), reuse_stale=flags.get("stale") == "reuse")


def build_options(flags: Mapping[str, Any]) -> BuildOptions:
    """Returns the options of a build, including those of its plan."""
    options = BuildOptions(
        keep_going=flags["keep_going"],
        jobs=flags["jobs"] or 0,
        executor=flags["executor"] or "",
        log_store=flags["log_store"] or "",
        verify=flags["verify"],
    )
    return options.with_planning(plan_options(flags))
