"""Services on real ports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.served import Serve, Served, services


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Starts services, which are closed after the test."""
    async with services(tmp_path) as serve:
        yield serve


@pytest.fixture
async def served(serve: Serve) -> Served:
    return await serve()
