"""Operations on the environments of the event log of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator, Sequence

from databuild.cli.backend.invocation import Invocation
from databuild.cli.backend.log_stores import storages
from databuild.cli.backend.requested_partitions import expand
from databuild.event_log.open import EnvironmentLogs
from databuild.event_log.overlay.reader import OverlayReader
from databuild.model.build_request_id import new_build_request_id
from databuild.model.environment_views import EnvironmentView, PartitionComparison, Promotion, RemovedEnvironment
from databuild.orchestration.environments import environment_removal
from databuild.orchestration.environments.comparison import compare
from databuild.orchestration.environments.overview import overview
from databuild.orchestration.environments.promotion import promote
from databuild.user import user_name


def list_environments(call: Invocation) -> list[EnvironmentView]:
    """Returns the environments, in order of their names."""
    logs = EnvironmentLogs(call.event_log_uri)
    views = []
    for name in logs.names():
        with contextlib.closing(logs.reader(name)) as reader:
            views.append(overview(reader, name))
    return views


def compare_environment(call: Invocation, environment: str, texts: Sequence[str]) -> Iterator[PartitionComparison]:
    """Yields the comparison of each partition of an environment with the base.

    Raises:
        EnvironmentNotFoundError: There is no such environment.
    """
    refs = expand(call, list(texts), produced=False) if texts else ()
    with _existing(call, environment) as reader:
        yield from compare(reader, refs)


def promote_environment(
    call: Invocation, environment: str, texts: Sequence[str], *, author: str, reason: str
) -> Promotion:
    """Promotes partitions of an environment to the base.

    Raises:
        EnvironmentNotFoundError: There is no such environment.
        PromotionRefusedError: A partition that was named cannot be promoted, or the base has changed meanwhile.
    """
    refs = expand(call, list(texts)) if texts else ()
    catalog = call.catalog()

    async def run(reader: OverlayReader) -> Promotion:
        event_log = call.open_event_log()
        try:
            return await promote(
                refs,
                environment=environment,
                reader=reader,
                event_log=event_log,
                catalog=catalog,
                operation_id=new_build_request_id(),
                author=author or user_name(call.environ),
                reason=reason,
                clock=call.clock,
            )
        finally:
            await event_log.close()

    with _existing(call, environment) as reader:
        return asyncio.run(run(reader))


def remove_environment(call: Invocation, environment: str, *, delete_data: bool) -> RemovedEnvironment:
    """Removes an environment: its event log, its job logs and, if asked for, the data that it made.

    Raises:
        EnvironmentNotFoundError: There is no such environment.
        EnvironmentInUseError: Builds run there.
    """
    logs = EnvironmentLogs(call.event_log_uri)
    logs.check(environment)
    folder = os.path.join(call.state_dir, "environments", environment)  # noqa: PTH118
    return environment_removal.remove(logs, environment, folder, storages(call), with_data=delete_data)


def _existing(call: Invocation, environment: str) -> contextlib.closing[OverlayReader]:
    logs = EnvironmentLogs(call.event_log_uri)
    logs.check(environment)
    return contextlib.closing(logs.reader(environment))
