"""What a build request says, and what the place where it is served decides."""

from __future__ import annotations

from dataclasses import dataclass

from databuild.model.build_options import BuildOptions
from databuild.model.job_graph import Plan


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildRequest:
    """What is asked of one build.

    Attributes:
        build_request_id: The id of the build.
        requested: What is asked for, ranges expanded.
        options: The options; `jobs` is at least 1.
        plan: The plan to run exactly; None to plan anew.
        retry_of: The build that this one retries.
    """

    build_request_id: str
    requested: tuple[str, ...]
    options: BuildOptions = BuildOptions(jobs=1)
    plan: Plan | None = None
    retry_of: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Where job processes run and what they leave behind.

    Attributes:
        working_directory: The working directory of jobs.
        log_directory: The folder that holds one folder of job logs for each build.
        config_calls: How many `config` processes may run at once.
        lease_seconds: How long the build counts as alive for others without being heard of.
    """

    working_directory: str
    log_directory: str
    config_calls: int = 2
    lease_seconds: float = 30.0
