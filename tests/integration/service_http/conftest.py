"""Services on real ports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Unpack

import pytest

from databuild.service.resources.limits import Limits
from tests.support.served import Serve, Served, ServedOptions


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Returns a function that starts a service, which is closed after the test."""
    all_served: list[Served] = []

    async def serve(limits: Limits | None = None, **options: Unpack[ServedOptions]) -> Served:
        served = Served(tmp_path, limits=limits, **options)
        all_served.append(await served.start())
        return served

    yield serve
    for served in all_served:
        await served.close()


@pytest.fixture
async def served(serve: Serve) -> Served:
    return await serve()
