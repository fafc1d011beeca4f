"""Who gets a resource that several builds share: decisions only, which each store makes in its transactions.

Of the builds that wait for a resource, the one that was granted anything longest ago goes first, however little of it
is free; what ends frees it. Each build has one turn for all resources, so that no two wait for each other, and a build
of thousands of tasks lets every other build have its turn after each of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from databuild.event_log.coordination import ClaimRequest

WAIT_SECONDS: Final = 2.0
"""How long a build counts as waiting since it last asked in vain, so that nobody makes way for one that has gone."""


class Sharer(NamedTuple):
    """A build that shares resources with others.

    Attributes:
        build_request_id: The build.
        turn: The token of what it was granted last or, before that, of its first request.
        waiting_for: The resources that it has asked for in vain, a moment ago.
    """

    build_request_id: str
    turn: int
    waiting_for: frozenset[str] = frozenset()


class Holding(NamedTuple):
    """How much of a resource a job run has."""

    job_run_id: str
    resource: str
    build_request_id: str
    amount: int


class FairShares:
    """Grants resources within one transaction.

    Attributes:
        granted: What was granted.
        asked: How the builds stand that have asked.
    """

    def __init__(self, used: Mapping[str, int], sharers: Iterable[Sharer]) -> None:
        """Takes how much of each resource is held, and the builds that share any."""
        self.granted: list[Holding] = []
        self.asked: dict[str, Sharer] = {}
        self._used = dict(used)
        self._sharers = {sharer.build_request_id: sharer for sharer in sharers}

    def take(self, request: ClaimRequest, token: int) -> str:
        """Grants a request its resources, and returns the one that it has to wait for; empty where it has them all."""
        build = request.build_request_id
        me = self._sharers.get(build) or Sharer(build, token)
        short_of = self._short_of(request, me)
        if short_of:
            me = me._replace(waiting_for=me.waiting_for.union(need.resource for need in request.needs))
        else:
            me = Sharer(build, token)
            for resource, amount, _ in request.needs:
                self._used[resource] = self._used.get(resource, 0) + amount
                self.granted.append(Holding(request.job_run_id, resource, build, amount))
        self._sharers[build] = self.asked[build] = me
        return short_of

    def _short_of(self, request: ClaimRequest, me: Sharer) -> str:
        for resource, amount, limit in request.needs:
            if self._used.get(resource, 0) + amount > limit:
                return resource
            for other in self._sharers.values():
                if resource in other.waiting_for and (other.turn, other.build_request_id) < (me.turn, me[0]):
                    return resource
        return ""
