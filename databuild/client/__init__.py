"""The Python client of the service: it starts builds, watches them and reads their records.

    from databuild.client import DatabuildClient

    with DatabuildClient("localhost:7421") as client:
        build = client.create_orchestrator(["daily_flights/date=2013-01-01..2013-01-07"], keep_going=True)
        result = client.execute_build(build)

`AsyncDatabuildClient` has the same methods for asyncio.
"""

from databuild.client.async_client import AsyncDatabuildClient
from databuild.client.client import DatabuildClient
from databuild.client.endpoint import Tls
from databuild.client.remote_build import RemoteBuild
from databuild.model.results import BuildResult, Cancelled, Failed, FailFast, Success

__all__ = [
    "AsyncDatabuildClient",
    "BuildResult",
    "Cancelled",
    "DatabuildClient",
    "FailFast",
    "Failed",
    "RemoteBuild",
    "Success",
    "Tls",
]
