"""Fair sharing of resources between builds. Decisions only; each store makes them in its transactions.

Least recently served first: of the builds that wait for a resource, the one whose last grant is oldest goes first, even
if a smaller request of another build would fit now. So large requests do not starve, and a build with thousands of
tasks lets every other build have its turn after each of its own. A build has one turn for all resources together, so
that two builds cannot wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from databuild.event_log.coordination import ClaimRequest
from databuild.tuples import NamedTuple

WAIT_SECONDS: Final = 2.0
"""A build stops counting as waiting this long after its last refused request, so that a crashed build cannot block
others. Waiting builds retry more often than this."""


class Sharer(NamedTuple):
    """A build that shares resources with others.

    Attributes:
        build_request_id: The build.
        turn: The fencing token of its last grant or, before any grant, of its first request.
        waiting_for: The resources of its recent refused requests.
    """

    build_request_id: str
    turn: int
    waiting_for: frozenset[str] = frozenset()


class Holding(NamedTuple):
    """The amount of a resource that a job run holds."""

    job_run_id: str
    resource: str
    build_request_id: str
    amount: int


class FairShares:
    """Grants resources within one transaction.

    Attributes:
        granted: The amounts that were granted.
        updated: The new states of builds that made a request, by build.
    """

    def __init__(self, used: Mapping[str, int], sharers: Iterable[Sharer]) -> None:
        """Grants nothing yet.

        Args:
            used: The amount of each resource that is held.
            sharers: The builds that share resources.
        """
        self.granted: list[Holding] = []
        self.updated: dict[str, Sharer] = {}
        self._used = dict(used)
        self._sharers = {sharer.build_request_id: sharer for sharer in sharers}

    def take(self, request: ClaimRequest, token: int) -> str:
        """Grants all resources of a request or none, and returns the resource that it waits for; empty if granted."""
        build = request.build_request_id
        sharer = self._sharers.get(build) or Sharer(build, token)
        short_of = self._short_of(request, sharer)
        if short_of:
            sharer = sharer._replace(waiting_for=sharer.waiting_for.union(need.resource for need in request.needs))
        else:
            sharer = Sharer(build, token)
            for resource, amount, _ in request.needs:
                self._used[resource] = self._used.get(resource, 0) + amount
                self.granted.append(Holding(request.job_run_id, resource, build, amount))
        self._sharers[build] = self.updated[build] = sharer
        return short_of

    def _short_of(self, request: ClaimRequest, sharer: Sharer) -> str:
        turn = (sharer.turn, sharer.build_request_id)
        for resource, amount, limit in request.needs:
            if self._used.get(resource, 0) + amount > limit:
                return resource
            for other in self._sharers.values():
                if resource in other.waiting_for and (other.turn, other.build_request_id) < turn:
                    return resource
        return ""
