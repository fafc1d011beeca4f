"""The settings of the builds and plans of an invocation."""

from __future__ import annotations

from databuild.cli.backend.invocation import Invocation
from databuild.cli.backend.job_environment import bazel_invocation_id
from databuild.orchestration.build.settings import Settings


def build_settings(call: Invocation) -> Settings:
    return Settings(
        working_directory=call.cwd,
        log_directory=call.log_dir,
        environment=call.environment,
        gc_while_planning=False,
        bazel_invocation_id=bazel_invocation_id(call.environ),
    )
