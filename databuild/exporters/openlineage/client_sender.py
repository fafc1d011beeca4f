"""The sender with a transport of `openlineage-python`, the client of OpenLineage."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from openlineage.client import OpenLineageClient
from openlineage.client.client import Event
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run
from openlineage.client.event_v2 import RunEvent as ClientEvent
from openlineage.client.generated.base import EventType, set_producer
from openlineage.client.transport import (
    AsyncHttpTransport,
    CompositeTransport,
    ConsoleTransport,
    FileTransport,
    HttpTransport,
    NoopTransport,
    TransformTransport,
    Transport,
)

from databuild.errors import InvalidRequestError
from databuild.exporters.exporter import ReceiverError
from databuild.exporters.http_requests import fault_of
from databuild.exporters.openlineage.build_lineage import RunEvent
from databuild.exporters.openlineage.facets import PRODUCER
from databuild.exporters.openlineage.senders import SEND_AGAIN, Answers, refusal_of, send_each
from databuild.job.locations import without_credentials

_MAX_SECONDS: Final = 9.0
"""The maximum time limit of a request."""

_NO_RETRIES: Final = {"total": 0, "status_forcelist": ()}
_PREFIX: Final = "OPENLINEAGE"
_LOCK: Final = threading.Lock()


class ClientSender:
    """Sends run events with the client of OpenLineage.

    Attributes:
        receivers: The names of the receivers, without secrets.
    """

    def __init__(self, client: OpenLineageClient) -> None:
        """Sends nothing yet.

        Raises:
            InvalidRequestError: A transport does not tell whether events have arrived.
        """
        self.receivers = [_prepared(transport) for transport in _leaves(client.transport)]
        if isinstance(client.transport, CompositeTransport):
            client.transport = _All(client.transport)
        # The client would add the commit that is checked out while it sends.
        client.config.facets.source_code_location.disabled = True
        self._client = client

    def send(self, events: Sequence[RunEvent], seconds: float) -> Answers:
        return send_each(events, seconds, self._send)

    def _send(self, event: RunEvent) -> str:
        try:
            self._client.emit(_as_object(event))
        except Exception as error:  # transports raise the errors of their libraries
            if (answer := getattr(error, "response", None)) is not None:
                return refusal_of(answer.status_code, answer.reason)
            raise ReceiverError(_fault_of(error)) from error
        return ""

    def close(self) -> None:
        self._client.close(timeout=0)


class _All(Transport):
    """Sends to the transports of a composite one. Unlike that, it fails if one of several receivers does not answer."""

    kind = CompositeTransport.kind

    def __init__(self, transport: CompositeTransport) -> None:
        self._config = transport.config
        self._transports = transport.transports

    def emit(self, event: Event) -> None:
        fault: Exception | None = None
        for transport in self._transports:
            try:
                transport.emit(event)
            except Exception as error:
                if not self._config.continue_on_failure:
                    raise
                if fault is None or not _is_refusal(error):
                    fault = error
            else:
                if not self._config.continue_on_success:
                    return
        if fault is not None:
            raise fault

    def close(self, timeout: float = -1) -> bool:
        closed = [transport.close(timeout) for transport in self._transports]
        return all(closed)


def client_sender(environ: Mapping[str, str], config_file: str) -> ClientSender:
    """Returns a sender that the configuration of OpenLineage describes.

    Args:
        environ: The environment.
        config_file: The configuration file; empty for none.

    Raises:
        InvalidRequestError: The configuration is invalid, or names no transport.
    """
    # The client logs faults of the configuration, and of each event.
    logging.getLogger("openlineage").addHandler(logging.NullHandler())
    set_producer(PRODUCER)
    variables = {name: value for name, value in environ.items() if name.startswith(_PREFIX)}
    if config_file:
        variables["OPENLINEAGE_CONFIG"] = config_file
    try:
        with _LOCK, _process_variables(variables):
            client = OpenLineageClient()
    except Exception as error:  # transports raise the errors of their libraries
        raise InvalidRequestError(f"OpenLineage cannot be configured: {_fault_of(error)}") from error
    is_default = isinstance(client.transport, ConsoleTransport)
    if is_default and not (client.config.transport and client.config.transport.get("type")):
        place = config_file or "the environment"
        raise InvalidRequestError(
            f"{place} has no transport for OpenLineage; set OPENLINEAGE_URL, or OPENLINEAGE_CONFIG to a file with one"
        )
    return ClientSender(client)


@contextlib.contextmanager
def _process_variables(variables: Mapping[str, str]) -> Iterator[None]:
    """Sets the variables from which the client reads its configuration, and which it changes itself, for a while."""
    before = {name: value for name, value in os.environ.items() if name.startswith(_PREFIX)}
    try:
        _replace(variables)
        yield
    finally:
        _replace(before)


def _replace(variables: Mapping[str, str]) -> None:
    for name in [name for name in os.environ if name.startswith(_PREFIX)]:
        del os.environ[name]
    os.environ.update(variables)


def _leaves(transport: Transport) -> Sequence[Transport]:
    """Returns the transports that send, in their order."""
    if isinstance(transport, CompositeTransport):
        return [leaf for child in transport.transports for leaf in _leaves(child)]
    if isinstance(transport, TransformTransport):
        return _leaves(transport.transport)
    return [transport]


def _prepared(transport: Transport) -> str:
    """Prepares a transport, and returns the name of its receiver."""
    if isinstance(transport, AsyncHttpTransport):
        raise InvalidRequestError(
            "the transport async_http of OpenLineage does not tell whether events have arrived; use http, since no "
            "build waits for it"
        )
    if isinstance(transport, HttpTransport):
        # Events are sent again by DataBuild, and only to the address that was configured.
        transport.config.retry = dict(_NO_RETRIES)
        transport.timeout = min(transport.timeout, _MAX_SECONDS)
        transport.session.max_redirects = 0
        return transport.url.partition("://")[2].partition("/")[0].rpartition("@")[2]
    if isinstance(transport, FileTransport):
        return f"file:{transport.config.log_file_path}"
    if isinstance(transport, ConsoleTransport):
        console = logging.getLogger(ConsoleTransport.__module__)
        if not console.handlers:
            console.addHandler(logging.StreamHandler())
        console.setLevel(logging.INFO)
        console.propagate = False
    return "" if isinstance(transport, NoopTransport) else str(transport.kind)


def _as_object(text: RunEvent) -> ClientEvent:
    """Returns an event as the client takes it. Facets stay dicts, which it serializes as well."""
    event = json.loads(text)

    def values(members: Mapping[str, Any]) -> dict[str, Any]:
        return {name: dict(value) if isinstance(value, Mapping) else value for name, value in members.items()}

    return ClientEvent(
        eventType=EventType(event["eventType"]),
        eventTime=event["eventTime"],
        run=Run(**values(event["run"])),
        job=Job(**values(event["job"])),
        inputs=[InputDataset(**dataset) for dataset in event["inputs"]],
        outputs=[OutputDataset(**dataset) for dataset in event["outputs"]],
        producer=event["producer"],
    )


def _is_refusal(error: Exception) -> bool:
    answer = getattr(error, "response", None)
    return answer is not None and answer.status_code not in SEND_AGAIN


def _fault_of(error: BaseException) -> str:
    """Returns the reason of an error: that of the operating system if there is one."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return fault_of(cause)
        cause = cause.__cause__ or cause.__context__
    return without_credentials(str(error))[:200] or type(error).__name__
