"""The options of builds and plans, as the flags of the command line set them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from databuild.model.build_options import BuildOptions, PlanOptions


def plan_options(flags: Mapping[str, Any]) -> PlanOptions:
    """Returns the options of a plan; a flag that the command does not have counts as not given."""
    return PlanOptions(force=flags.get("force", False), reuse_stale=flags.get("stale") == "reuse")


def build_options(flags: Mapping[str, Any]) -> BuildOptions:
    """Returns the options of a build, including those of its plan."""
    options = BuildOptions(keep_going=flags["keep_going"], jobs=flags["jobs"] or 0)
    return options.with_planning(plan_options(flags))
