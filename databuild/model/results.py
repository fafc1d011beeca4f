"""What comes of a build. A job that fails is an outcome, not an error."""

from __future__ import annotations

from dataclasses import dataclass

from databuild.errors import DataBuildError
from databuild.v1 import partition_pb2 as pt


@dataclass(frozen=True, kw_only=True, slots=True)
class Success:
    """Everything requested is available.

    Attributes:
        jobs_completed: How many tasks were run; 0 where everything was up to date.
    """

    jobs_completed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """Something requested is not available, and the build went as far as it could.

    Attributes:
        jobs_completed: How many tasks completed.
        jobs_failed: How many tasks failed; 0 where the build failed before any ran.
        category: Whose fault it is.
        message: One sentence for a person.
        error: What ended the build, where no job did.
    """

    jobs_completed: int = 0
    jobs_failed: int = 0
    category: pt.FailureCategory = pt.FAILURE_CATEGORY_USER
    message: str = ""
    error: DataBuildError | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class FailFast:
    """A job failed, and the build stopped there.

    Attributes:
        trigger_job: The label of the job that failed first.
        jobs_completed: How many tasks completed.
        jobs_failed: How many tasks failed; more than one where others failed while they were let finish.
    """

    trigger_job: str
    jobs_completed: int = 0
    jobs_failed: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Cancelled:
    """The build was stopped before it could end by itself.

    Attributes:
        jobs_completed: How many tasks had completed.
        author: Who stopped it, where that is known.
    """

    jobs_completed: int = 0
    author: str = ""


BuildResult = Success | Failed | FailFast | Cancelled
