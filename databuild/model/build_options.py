"""The options of builds and plans, from a flag, keyword or message to the event that records them.

Commands that only read do not import this module, since it needs protobuf.
"""

from __future__ import annotations

from typing import Final, TypedDict

from databuild.errors import InvalidRequestError
from databuild.tuples import NamedTuple
from databuild.v1 import events_pb2 as ev
from databuild.v1 import plan_pb2

VERIFY_POLICIES: Final = ("none", "inputs", "requested", "all")
"""The data that a build or a plan looks for in its store before it uses it: nothing; inputs of its tasks that it does
not make itself; the requested partitions as well; all partitions of its plan."""

_MAX_JOBS: Final = 2**32 - 1
"""The largest number that a message holds."""

DEFAULT_VERIFY: Final = "inputs"
"""The default of builds and of plans, so that a plan agrees with the build that follows it."""


class PlanOptions(NamedTuple):
    """The options of a plan.

    Attributes:
        force: Build requested partitions even if they are fresh.
        reuse_stale: Use stale partitions as they are.
    """

    force: bool = False
    reuse_stale: bool = False

    @classmethod
    def from_message(cls, message: plan_pb2.PlanOptions) -> PlanOptions:
        """An unset policy for stale partitions means to rebuild them."""
        return cls(force=message.force, reuse_stale=message.stale == plan_pb2.STALE_POLICY_REUSE)

    def to_message(self) -> plan_pb2.PlanOptions:
        stale = plan_pb2.STALE_POLICY_REUSE if self.reuse_stale else plan_pb2.STALE_POLICY_REBUILD
        return plan_pb2.PlanOptions(force=self.force, stale=stale)


class BuildOptions(NamedTuple):
    """The options of a build: those of its plan, and those of its execution.

    Attributes:
        force: Build requested partitions even if they are fresh.
        reuse_stale: Use stale partitions as they are.
        keep_going: Continue with tasks that do not depend on a failure.
        jobs: The maximum of concurrent job runs. 0 in a request means the default of the machine that runs the build;
            0 in a build on an engine means as many as the engine runs at once.
        executor: The address of the engine that runs the jobs, or `local`. Empty in a request means the default of the
            graph.
        log_store: The URI of the place of job logs. Empty in a request means the default of the graph; empty in a build
            means the state directory.
        verify: The data whose presence in its store is checked before it is used, one of `VERIFY_POLICIES`.
    """

    force: bool = False
    reuse_stale: bool = False
    keep_going: bool = False
    jobs: int = 0
    executor: str = ""
    log_store: str = ""
    verify: str = DEFAULT_VERIFY

    @classmethod
    def from_message(cls, message: ev.BuildOptions) -> BuildOptions:
        options = cls(
            keep_going=message.keep_going,
            jobs=message.jobs,
            executor=message.executor,
            log_store=message.log_store,
            verify=verify_policy_name(message.verify),
        )
        return options.with_planning(PlanOptions.from_message(message.plan))

    def to_message(self) -> ev.BuildOptions:
        """Returns these options as a message.

        Raises:
            InvalidRequestError: A value is out of its range.
        """
        if not 0 <= self.jobs <= _MAX_JOBS:
            raise InvalidRequestError(f"jobs is {self.jobs}; it must be a whole number from 0 to {_MAX_JOBS}")
        return ev.BuildOptions(
            keep_going=self.keep_going,
            jobs=self.jobs,
            plan=self.planning.to_message(),
            executor=self.executor,
            log_store=self.log_store,
            verify=verify_policy_message_name(self.verify),
        )

    @property
    def planning(self) -> PlanOptions:
        """The options of the plan alone."""
        return PlanOptions(**{name: getattr(self, name) for name in PlanOptions._fields})

    def with_planning(self, planning: PlanOptions) -> BuildOptions:
        """Returns these options with the options of a given plan."""
        return self._replace(**planning._asdict())

    def differences(self, other: BuildOptions) -> list[str]:
        """Returns the names of the options that are not equal."""
        return [name for name in self._fields if getattr(self, name) != getattr(other, name)]


def verify_policy_name(number: int) -> str:
    """Returns a policy by its number in messages. Unset means `inputs`.

    Raises:
        InvalidRequestError: There is no such policy.
    """
    number = number or ev.VERIFY_POLICY_INPUTS
    if not 0 < number <= len(VERIFY_POLICIES):
        raise InvalidRequestError(f"verify is {number}; it must be from 1 to {len(VERIFY_POLICIES)}")
    return VERIFY_POLICIES[number - 1]


def verify_policy_message_name(name: str) -> str:
    """Returns the name of a policy in messages.

    Raises:
        InvalidRequestError: There is no such policy.
    """
    if name not in VERIFY_POLICIES:
        raise InvalidRequestError(f"verify is {name!r}; it must be one of {', '.join(VERIFY_POLICIES)}")
    return f"VERIFY_POLICY_{name.upper()}"


class PlanKeywords(TypedDict, total=False):
    """The fields of `PlanOptions`, as the client takes them."""

    force: bool
    reuse_stale: bool


class BuildKeywords(PlanKeywords, total=False):
    """The fields of `BuildOptions`, as the client takes them."""

    keep_going: bool
    jobs: int
    executor: str
    log_store: str
    verify: str
