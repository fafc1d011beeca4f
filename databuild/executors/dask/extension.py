"""The entry of the registry of executors."""

from __future__ import annotations

from databuild.executors.dask.dask_executor import DaskExecutor
from databuild.executors.registry import ExecutorOptions


def open_executor(uri: str, options: ExecutorOptions) -> DaskExecutor:
    """Returns an executor that is not connected yet.

    Raises:
        InvalidRequestError: The URI is invalid.
    """
    return DaskExecutor(uri, options)
