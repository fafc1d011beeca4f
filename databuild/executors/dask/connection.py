"""The connection to a scheduler of Dask: its checks, its loss, and how runs are submitted and asked about."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from distributed import Client, Future, Security
from distributed._version import __version__

from databuild.errors import ExecutorError, InvalidRequestError
from databuild.executors.dask.preflight import SECONDS, cluster_fault, connection_fault, tls_context, version_fault
from databuild.executors.dask.shipping import Shipment
from databuild.model.client_tls import ClientTls

DEFAULT_PORT: Final = 8786

_CHECK_SECONDS: Final = 0.5


class ConnectionLostError(Exception):
    """The connection to the scheduler is lost."""


class Job(NamedTuple):
    """The parts of a run that a worker needs.

    Attributes:
        code: The program, for the agent; None if it is not shipped.
        details: Everything else, for the supervisor: one value, since Dask looks into all others several times.
    """

    code: Mapping[str, str] | None
    details: bytes


class Address:
    """The address of a scheduler.

    Attributes:
        uri: The URI without user and password.
        host: The host.
        port: The port.
        tls: True for TLS.
    """

    def __init__(self, uri: str) -> None:
        """Parses a URI.

        Raises:
            InvalidRequestError: It has no host, or more than host and port.
        """
        try:
            parts = urlsplit(uri)
            self.host, self.port = parts.hostname or "", parts.port or DEFAULT_PORT
        except ValueError as error:
            raise InvalidRequestError(f"{uri!r} is not the address of a scheduler of Dask: {error}") from error
        if not self.host or parts.path.strip("/") or parts.query or parts.fragment:
            raise InvalidRequestError(
                f"{uri!r} is not the address of a scheduler of Dask; write {parts.scheme}://HOST:PORT"
            )
        self.tls = parts.scheme == "dask+tls"
        shown = f"[{self.host}]" if ":" in self.host else self.host
        self.uri = f"{parts.scheme}://{shown}:{self.port}"
        self.of_dask = f"{'tls' if self.tls else 'tcp'}://{shown}:{self.port}"


class Connection:
    """One connection, until it is lost."""

    def __init__(self, client: Client, name: str, function: Callable[..., Any], facts: Mapping[str, Any]) -> None:
        self._client = client
        self._comm: Any = client.scheduler_comm
        self._name = name
        self._function = function
        self.scheduler_id: Final[str] = facts["scheduler"]
        self.threads: Final[int] = facts["threads"]
        self.client_id: Final[str] = client.id

    @classmethod
    async def open(
        cls, address: Address, tls: ClientTls, on_message: Callable[[Mapping[str, Any]], None]
    ) -> Connection:
        """Connects to a scheduler and installs our plugins.

        Args:
            address: The address.
            tls: The files for TLS.
            on_message: Called with each message about our runs.

        Raises:
            ExecutorError: The scheduler cannot be used.
        """
        security = None
        context = None
        if address.tls:
            context, fault = tls_context(tls)
            _check(address, fault)
            security = Security(
                tls_ca_file=tls.authority,
                tls_client_cert=tls.certificate,
                tls_client_key=tls.key or None,
                require_encryption=True,
            )
        _check(address, await connection_fault(address.host, address.port, context))
        # The executor reports what happens to the connection and to tasks; Dask would do so on standard error.
        for logger in ("distributed", "distributed.client"):
            logging.getLogger(logger).setLevel(logging.CRITICAL)
        client = Client(
            address.of_dask,
            asynchronous=True,
            set_as_default=False,
            security=security,
            timeout=SECONDS,
            name="databuild",
        )
        # It would connect again by itself, to a scheduler without our plugins and our runs.
        client._timeout = 0  # noqa: SLF001
        shipment = Shipment()
        try:
            # Versions are compared below.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                await client
            client.subscribe_topic(shipment.name, lambda event: on_message(event[1]))
            scheduler: Any = client.scheduler
            versions = await scheduler.versions()
            _check(address, version_fault("scheduler", versions["packages"]["distributed"], __version__))
            await client.register_plugin(shipment.registry())
            facts = await getattr(scheduler, f"{shipment.name}_describe")(client=client.id)
            _check(address, cluster_fault(facts, __version__))
            await client.register_plugin(shipment.agent())
        except BaseException as error:
            await _close(client)
            if isinstance(error, ExecutorError) or not isinstance(error, Exception):
                raise
            raise ExecutorError(address.uri, f"its client fails: {error}") from error
        return cls(client, shipment.name, shipment.function(), facts)

    @property
    def is_lost(self) -> bool:
        """True if the connection is known to be lost."""
        comm: Any = self._client.scheduler_comm
        return comm is not self._comm or comm.comm.closed()

    async def lost(self, check: Callable[[], None]) -> None:
        """Calls a function repeatedly, and returns when the connection is lost."""
        while not self.is_lost:
            await asyncio.sleep(_CHECK_SECONDS)
            check()

    def submit(self, jobs: Mapping[str, Job], resources: Mapping[str, float]) -> Sequence[Future[None]]:
        """Submits runs.

        Args:
            jobs: The facts that a worker needs, by run.
            resources: The resources of Dask that each of them needs.

        Returns:
            The futures of Dask. The runs continue without them once they are accepted.
        """
        with warnings.catch_warnings():  # about large graphs
            warnings.simplefilter("ignore")
            return self._client.map(
                self._function,
                [self._name] * len(jobs),
                list(jobs),
                [job.code for job in jobs.values()],
                [job.details for job in jobs.values()],
                key=[(self._name, run_id) for run_id in jobs],
                pure=False,
                retries=0,
                resources=dict(resources) or None,
            )

    async def call(self, name: str, **arguments: Any) -> Any:
        """Calls our plugin on the scheduler.

        Raises:
            ConnectionLostError: There is no connection.
        """
        try:
            return await getattr(self._client.scheduler, f"{self._name}_{name}")(**arguments)
        except (OSError, AttributeError) as error:
            raise ConnectionLostError from error

    async def call_worker(self, worker: str, name: str, **arguments: Any) -> Any:
        """Calls the agent on a worker, by way of the scheduler.

        Returns:
            The answer; None if the worker has gone.

        Raises:
            ConnectionLostError: There is no connection.
        """
        message = {"op": f"{self._name}_{name}", **arguments}
        return await self.call("call_worker", worker=worker, message=message)

    async def close(self) -> None:
        """Disconnects."""
        await _close(self._client)


def _check(address: Address, fault: str) -> None:
    if fault:
        raise ExecutorError(address.uri, fault)


async def _close(client: Client) -> None:
    with contextlib.suppress(Exception):
        await client.close(timeout=1)
