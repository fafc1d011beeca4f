"""The least that runs a process by the Remote Execution API: two requests, without any retry."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import grpc
from google.protobuf.message import Message

from databuild.executors.reapi import remote_execution_pb2 as api
from databuild.executors.reapi.methods import BATCH_UPDATE_BLOBS, EXECUTE


@asynccontextmanager
async def plain_reapi(uri: str) -> AsyncIterator[Callable[[str, str], Awaitable[int]]]:
    """Connects to an engine, and yields a function that runs a program under a name and returns its exit code."""
    target = uri.partition("://")[2].rstrip("/")
    async with grpc.aio.insecure_channel(target) as channel:
        upload = channel.unary_unary(BATCH_UPDATE_BLOBS.path, _serialize, BATCH_UPDATE_BLOBS.parse)
        execute = channel.unary_stream(EXECUTE.path, _serialize, EXECUTE.parse)

        async def run(name: str, program: str) -> int:
            root = api.Directory()
            command = api.Command(arguments=[program])
            action = api.Action(
                command_digest=_digest(command),
                input_root_digest=_digest(root),
                do_not_cache=True,
                salt=name.encode(),
            )
            blobs = api.BatchUpdateBlobsRequest()
            for message in (root, command, action):
                blobs.requests.add(digest=_digest(message), data=_serialize(message))
            await upload(blobs)
            request = api.ExecuteRequest(action_digest=_digest(action), skip_cache_lookup=True)
            states = [state async for state in execute(request)]
            response = api.ExecuteResponse.FromString(states[-1].response.value)
            return response.status.code or response.result.exit_code

        yield run


def _serialize(message: Message) -> bytes:
    return message.SerializeToString(deterministic=True)


def _digest(message: Message) -> api.Digest:
    data = _serialize(message)
    return api.Digest(hash=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
