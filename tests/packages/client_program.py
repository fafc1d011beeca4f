"""A program that uses the client as programs of users do, with the packages of its target: ENDPOINT.

Prints, as JSON, the versions of these packages and the results of its requests.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator

import grpc
from google.protobuf import __version__ as protobuf_version

from databuild.client import AsyncDatabuildClient, DatabuildClient
from databuild.errors import UnknownPartitionError


def main(endpoint: str) -> None:
    """Sends most kinds of requests to a service of the graph of tests/support/script_graph.py."""
    with DatabuildClient(endpoint, author="ann") as client:
        told: dict[str, object] = dict(_asked(client))
    told["async"] = asyncio.run(_over_asyncio(endpoint))
    told["protobuf"] = protobuf_version
    told["grpcio"] = grpc.__version__
    json.dump(told, sys.stdout)


def _asked(client: DatabuildClient) -> Iterator[tuple[str, object]]:
    build = client.create_orchestrator(["number/one"], force=True)
    yield "result", type(client.execute_build(build)).__name__
    yield "failed", type(client.execute_build(client.create_orchestrator(["number/fail-1"]))).__name__
    yield "status", client.get("latest").build.status
    yield "events", len(list(client.watch(build.build_request_id)))
    yield "plan", [planned.ref for planned in client.plan(["number/two"]).partitions]
    yield "partitions", [record.ref for record in client.partitions(prefix="number/one")]
    yield "explanation", client.explain("number/one").planned.ref
    (run,) = client.job_runs(build.build_request_id)
    yield "log", b"".join(client.logs(run.job_run_id, stream="stdout")).decode()
    try:
        client.plan(["nothing/1"])
    except UnknownPartitionError as error:
        yield "error", error.ref


async def _over_asyncio(endpoint: str) -> list[str]:
    async with AsyncDatabuildClient(endpoint, author="ann") as client:
        result = await client.execute_build(client.create_orchestrator(["number/three"]))
        return [type(result).__name__, (await client.get("latest")).build.status]


if __name__ == "__main__":
    main(sys.argv[1])
