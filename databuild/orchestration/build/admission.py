"""Admission of builds: decides when a build that has been received may start."""

from __future__ import annotations

from typing import Protocol

from databuild.event_log.coordination import LeaseOwner


class Admission(Protocol):
    """Admits one build. `run_build` calls `received`, then awaits `admit`."""

    @property
    def lease_owner(self) -> LeaseOwner | None:
        """The owner of the build's lease, if another process may continue the build while it waits; else None."""
        ...

    def received(self) -> None:
        """Called once RECEIVED is durable in the event log."""
        ...

    async def admit(self) -> str:
        """Waits until the build may start.

        Returns:
            The author of a request to cancel the build instead; empty if the build may start.
        """
        ...


class ImmediateAdmission:
    """Admits a build at once: nothing else competes with it in this process."""

    lease_owner: LeaseOwner | None = None

    def received(self) -> None:
        pass

    async def admit(self) -> str:
        return ""
