"""Processes as actions of an engine.

A shell starts the program, because only on the machine that runs it are the absolute paths known that jobs expect in
their environment.
"""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import Final

from databuild.executors.code_files import TREE, command_in_tree
from databuild.executors.executor import ProcessSpec
from databuild.executors.reapi import remote_execution_pb2 as api
from databuild.executors.reapi.blob_store import BlobStore
from databuild.executors.reapi.code_store import CodeStore
from databuild.executors.reapi.digests import Blob, blob, file_digest, message_blob

REPORT: Final = "databuild.report"
"""The file for report lines, relative to the working directory."""

_MAX_SENDING: Final = 100
"""Processes whose actions are being sent. A burst of thousands would take memory that is not returned."""

_TASK: Final = "databuild.task"
_SHELL: Final = "/bin/sh"
_DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_MAX_BYTES_IN_MEMORY: Final = 64 * 1024


class Actions:
    """Makes actions and sends them with their inputs."""

    def __init__(self, store: BlobStore, code: CodeStore) -> None:
        """Sends nothing yet.

        Args:
            store: The store of the engine.
            code: The programs in that store.
        """
        self._store = store
        self._code = code
        self._sending = asyncio.Semaphore(_MAX_SENDING)

    async def send(self, spec: ProcessSpec) -> api.Digest:
        """Returns the digest of the action for a process; the engine has the action and its inputs.

        Raises:
            OSError: A file of the program cannot be read, or the task description.
            UploadError: The engine does not take a blob.
            grpc.aio.AioRpcError: The engine refuses a request.
            OutageError: It does not answer.
        """
        root = api.Directory()
        blobs = []
        if spec.code is not None:
            root.directories.add(name=TREE, digest=await self._code.send(spec.code))
        if spec.task:
            task = blob(spec.task) if isinstance(spec.task, bytes) else _file_blob(spec.task)
            root.files.add(name=_TASK, digest=task.digest)
            blobs.append(task)
        root_blob = message_blob(root)
        platform = _platform(spec)
        command = message_blob(_command(spec, platform))
        action = api.Action(
            command_digest=command.digest,
            input_root_digest=root_blob.digest,
            do_not_cache=True,
            salt=spec.run_id.encode(),
            platform=platform,
        )
        if spec.timeout_seconds is not None:
            action.timeout.FromSeconds(math.ceil(spec.timeout_seconds))  # some engines ignore fractions of a second
        action_blob = message_blob(action)
        async with self._sending:
            await self._store.upload_small([*blobs, root_blob, command, action_blob])
        return action_blob.digest

    def check_code_again(self, spec: ProcessSpec) -> None:
        """Notes that the engine may lack inputs of a process, so that the next `send` checks all of them."""
        if spec.code is not None:
            self._code.check_again(spec.code)


def _platform(spec: ProcessSpec) -> api.Platform:
    properties = sorted(spec.properties.items())
    return api.Platform(properties=[api.Platform.Property(name=name, value=value) for name, value in properties])


def _command(spec: ProcessSpec, platform: api.Platform) -> api.Command:
    program, *arguments = spec.argv
    paths = {}
    if spec.report:
        paths["DATABUILD_REPORT"] = REPORT
    if spec.task:
        paths["DATABUILD_TASK"] = _TASK
    if spec.code is not None:
        paths["RUNFILES_DIR"] = TREE
        program, *arguments = command_in_tree(spec.code, spec.argv)
    exports = [f'export {name}="${{PWD%/}}/{path}"' for name, path in paths.items()]
    start = 'exec "${PWD%/}/$0" "$@"' if spec.code is not None else 'exec "$0" "$@"'
    environment = {"PATH": _DEFAULT_PATH, **spec.env}
    return api.Command(
        arguments=[_SHELL, "-c", "; ".join([*exports, start]), program, *arguments],
        environment_variables=[
            api.Command.EnvironmentVariable(name=name, value=value)
            for name, value in sorted(environment.items())
            if name not in paths
        ],
        platform=platform,
        output_paths=[REPORT] if spec.report else [],
    )


def _file_blob(path: Path) -> Blob:
    if path.stat().st_size <= _MAX_BYTES_IN_MEMORY:
        return blob(path.read_bytes())
    return Blob(file_digest(str(path)), None, str(path))
