"""Records of what a job run needs to be repeated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from databuild.model.records import JobRunRecord, Location
from databuild.tuples import NamedTuple


class Origin(NamedTuple):
    """The source of a build and the machine of its orchestrator; empty texts are unknown.

    Attributes:
        commit: The commit that was checked out in the workspace.
        machine: The name of the machine.
        platform: The operating system and the architecture of the machine.
        working_directory: The working directory of the jobs on the machine.
    """

    commit: str = ""
    machine: str = ""
    platform: str = ""
    working_directory: str = ""


class ReproductionInput(NamedTuple):
    """One input of a job run, as it was then and as it is now.

    Attributes:
        ref: The ref.
        version: The version that the job run read; empty if the input had no record.
        query: True for a QUERY input.
        current_version: The version of the data that is available now; empty if there is none.
        location: The place of the data; None if it is unknown, or if the version has changed.
        metadata: The metadata that the producer reported; empty if the version has changed.
    """

    ref: str
    version: str
    query: bool = False
    current_version: str = ""
    location: Location | None = None
    metadata: Mapping[str, Any] = {}

    @property
    def change(self) -> str:
        """The difference from the time of the job run, as a predicate; empty if there is none."""
        if self.version == self.current_version:
            return ""
        if not self.current_version:
            return f"had the version {self.version} and is not available any more"
        if not self.version:
            return f"had no record and now has the version {self.current_version}"
        return f"had the version {self.version} and now has {self.current_version}"


class ReproductionOutput(NamedTuple):
    """One output of a job run.

    Attributes:
        ref: The ref.
        version: The content digest that the job reported, else the id of the job run.
        location: The place of the data; None if the job did not report it.
        metadata: The metadata that the job reported.
    """

    ref: str
    version: str
    location: Location | None = None
    metadata: Mapping[str, Any] = {}


class Reproduction(NamedTuple):
    """The facts from which a job run can be repeated, and the result compared.

    Attributes:
        job_run: The job run.
        graph_label: The label of the graph.
        origin: The source and the machine of its build.
        code_digest: The code digest of the job when it ran.
        args: The arguments of the job run.
        environment_names: The names of the variables that the job and its configuration set, sorted.
        inputs: The inputs, in the order of the configuration; QUERY inputs are last.
        outputs: The outputs that became available, by ref.
    """

    job_run: JobRunRecord
    graph_label: str
    origin: Origin
    code_digest: str
    args: tuple[str, ...]
    environment_names: tuple[str, ...]
    inputs: tuple[ReproductionInput, ...]
    outputs: tuple[ReproductionOutput, ...]
