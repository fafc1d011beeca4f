"""Results of builds. A job that fails is an outcome, not an error."""

from __future__ import annotations

from databuild.errors import DataBuildError
from databuild.tuples import NamedTuple
from databuild.v1 import partition_pb2 as pt


class Success(NamedTuple):
    """All requested partitions are available.

    Attributes:
        jobs_completed: The number of tasks that were run; 0 if everything was up to date.
    """

    jobs_completed: int = 0


class Failed(NamedTuple):
    """A requested partition is not available, and the build did everything else that it could.

    Attributes:
        jobs_completed: The number of tasks that completed.
        jobs_failed: The number of tasks that failed; 0 if the build failed before any task ran.
        category: The category of the failure.
        message: One sentence for a person.
        error: The error that ended the build; None if a failed job did.
    """

    jobs_completed: int = 0
    jobs_failed: int = 0
    category: pt.FailureCategory = pt.FAILURE_CATEGORY_USER
    message: str = ""
    error: DataBuildError | None = None


class FailFast(NamedTuple):
    """A job failed, and the build started no further tasks.

    Attributes:
        trigger_job: The label of the job that failed first.
        jobs_completed: The number of tasks that completed.
        jobs_failed: The number of tasks that failed; tasks that were running finish, and may fail too.
    """

    trigger_job: str
    jobs_completed: int = 0
    jobs_failed: int = 1


class Cancelled(NamedTuple):
    """The build was cancelled.

    Attributes:
        jobs_completed: The number of tasks that completed before.
        author: The author of the cancellation; empty if it is unknown.
    """

    jobs_completed: int = 0
    author: str = ""


BuildResult = Success | Failed | FailFast | Cancelled
