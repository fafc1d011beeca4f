"""The least that runs a process on a cluster of Dask: the worker calls it by the standard library."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from distributed import Client


@asynccontextmanager
async def plain_dask(uri: str) -> AsyncIterator[Callable[[str, str], Awaitable[int]]]:
    """Connects to a cluster, and yields a function that runs a program under a name and returns its exit code."""
    async with Client(uri.replace("dask://", "tcp://"), asynchronous=True, set_as_default=False) as client:

        async def run(name: str, program: str) -> int:
            code: int = await client.submit(subprocess.call, [program], key=name, pure=False)
            return code

        yield run
