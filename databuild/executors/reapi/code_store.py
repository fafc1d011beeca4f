"""The programs in the store of an engine, each sent once per connection."""

from __future__ import annotations

import asyncio

from databuild.executors.executor import Code
from databuild.executors.reapi import remote_execution_pb2 as api
from databuild.executors.reapi.blob_store import BlobStore
from databuild.executors.reapi.code_tree import CodeTrees


class CodeStore:
    """Sends what an engine lacks of a program, before its first run."""

    def __init__(self, trees: CodeTrees, store: BlobStore) -> None:
        self._trees = trees
        self._store = store
        self._sent: dict[str, asyncio.Task[api.Digest]] = {}

    async def send(self, code: Code) -> api.Digest:
        """Returns the digest of a program whose blobs the engine has. Concurrent calls for one program share the work.

        Raises:
            OSError: A file cannot be read.
            UploadError: The engine does not take a file.
        """
        task = self._sent.get(code.digest)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = asyncio.create_task(self._send(code), name=f"send the code {code.digest}")
            self._sent[code.digest] = task
        return await asyncio.shield(task)

    def check_again(self, code: Code) -> None:
        """Notes that the engine may have lost blobs of a program."""
        task = self._sent.get(code.digest)
        if task is not None and task.done():
            del self._sent[code.digest]

    async def close(self) -> None:
        """Ends what is being sent."""
        tasks = [task for task in self._sent.values() if not task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self, code: Code) -> api.Digest:
        root, blobs = await asyncio.to_thread(self._trees.hashed, code)
        unique = {blob.digest.hash: blob for blob in blobs}
        missing = await self._store.missing([blob.digest for blob in unique.values()])
        if missing:
            await self._store.upload(unique[name] for name in missing if name in unique)
        return root
