"""A receiver of OpenLineage over HTTP, and the check of events against the official schemas."""

from __future__ import annotations

import gzip
import json
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jsonschema_rs

import databuild.exporters.openlineage
from databuild.exporters.openlineage.facets import EVENT_SCHEMA

_FOLDERS = (
    Path(__file__).parent / "openlineage_schemas",
    Path(databuild.exporters.openlineage.__file__).parent / "schemas/1-0-0",
)
_BATCH_PATH = "/lineage/batch"
_POLL_SECONDS = 0.02
_NO_SCHEMA_OF_FACET = frozenset({"_producer", "_schemaURL", "_deleted"})

Event = Mapping[str, Any]


class OpenLineageReceiver:
    """Keeps the events that it takes, and fails with the first one that is invalid.

    It has both endpoints of https://github.com/OpenLineage/OpenLineage/blob/main/spec/OpenLineage.yml.

    Attributes:
        url: The address for `OPENLINEAGE_URL`.
        events: The events.
        batches: The number of events in each batch that it has accounted for.
        requests: The path and the headers of each request.
        has_batches: False if the endpoint for batches is absent.
        max_bytes: The size of a body above which it is refused.
        max_events: The number of events of a batch above which it is answered after `close` only.
        failures: The failures of the next batches, as `failed_events` of their answers.
        answers: The bodies of the answers to the next batches, of which it keeps nothing.
        statuses: The status with which each of the next requests is answered, without keeping anything; 0 for none.
        seconds: The time that each request takes.
        faults: The faults of invalid events.
        closed: True if connections that are still open get no answers.
    """

    def __init__(self, port: int = 0) -> None:
        self.events: list[Event] = []
        self.batches: list[int] = []
        self.has_batches = True
        self.max_bytes = self.max_events = sys.maxsize
        self.failures: list[Sequence[Mapping[str, Any]]] = []
        self.answers: list[bytes] = []
        self.requests: list[tuple[str, Mapping[str, str]]] = []
        self.statuses: list[int] = []
        self.seconds = 0.0
        self.closed = False
        self.faults: list[str] = []
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(_POLL_SECONDS,), daemon=True).start()

    def close(self) -> None:
        """Ends the server, and checks that all events were valid."""
        self.closed = True
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        assert not self.faults, self.faults[0]

    def take(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """Keeps or refuses events; returns the status and the body of the answer."""
        time.sleep(self.seconds)
        is_batch = path.partition("?")[0].endswith(_BATCH_PATH)
        if is_batch and len(json.loads(body)) > self.max_events and self._closing.wait():
            return 503, b""
        with self._lock:
            self.requests.append((path, headers))
            if is_batch and not self.has_batches:
                return 404, b""
            if self.statuses and (status := self.statuses.pop(0)):
                return status, b""
            if len(body) > self.max_bytes:
                return 413, b""
            if is_batch:
                return 200, self.answers.pop(0) if self.answers else self._take_batch(json.loads(body))
            self._keep(json.loads(body))
            return 201, b""

    def _take_batch(self, events: Sequence[Event]) -> bytes:
        failures = self.failures.pop(0) if self.failures else ()
        failed = {failure["index"]: failure["retriable"] for failure in failures}
        for index, event in enumerate(events):
            if index not in failed:
                self._keep(event)
        self.batches.append(len(events))
        retriable = sum(failed.values())
        counts = {"received": len(events), "successful": len(events) - len(failed), "failed": len(failed)}
        answer = {
            "status": "partial_success" if failed else "success",
            "summary": {**counts, "retriable": retriable, "non_retriable": len(failed) - retriable},
            "failed_events": failures,
        }
        return json.dumps(answer).encode()

    def _keep(self, event: Event) -> None:
        self.faults += faults_of(event)
        self.events.append(event)

    def of_job(self, name: str) -> list[Event]:
        """Returns the events of a job, in the order in which they were taken."""
        return [event for event in self.events if event["job"]["name"] == name]

    def states(self, name: str) -> list[str]:
        return [event["eventType"] for event in self.of_job(name)]


def faults_of(event: Event) -> list[str]:
    """Returns the faults of an event and its facets by the official schemas, and by those of DataBuild.

    A member of a facet that its schema does not have is a fault, although the schemas allow it: it is misspelled.
    """
    faults = [str(error) for error in _validator(EVENT_SCHEMA).iter_errors(event)]
    for name, facet in facets_of(event):
        url: str = facet["_schemaURL"]
        whole, _, pointer = url.partition("#")
        faults += [f"{name}: {error}" for error in _validator(url).iter_errors(facet)]
        faults += [f"{name}: {error}" for error in _validator(whole).iter_errors({name: facet})]
        schema = _schemas()[whole]
        if name not in schema["properties"]:
            faults.append(f"{url} is not the schema of {name}")
        known = _members(schema["$defs"][pointer.rpartition("/")[2]]) | _NO_SCHEMA_OF_FACET
        faults += [f"{name} has the unknown member {member}" for member in facet.keys() - known]
    return faults


def masked_run_events(events: Sequence[Event]) -> list[str]:
    """Returns events as JSON without ids, times and versions, each with the job above it."""
    masked = []
    for event in events:
        run = event["run"]["facets"]
        facets = {name: facet for name, facet in run.items() if name not in {"databuild_run", "parent"}}
        outputs = [
            {**dataset, "facets": {name: facet for name, facet in dataset["facets"].items() if name != "version"}}
            for dataset in event["outputs"]
        ]
        above = run["parent"]["job"] if "parent" in run else None
        members = {**event, "run": facets, "outputs": outputs, "parent": above, "eventTime": ""}
        masked.append(json.dumps(members, sort_keys=True))
    return sorted(masked)


def facets_of(event: Event) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yields all facets of an event, each with its name."""
    holders = [event["run"], event["job"], *event["inputs"], *event["outputs"]]
    for holder in holders:
        for kind in ("facets", "inputFacets", "outputFacets"):
            yield from holder.get(kind, {}).items()


def _members(schema: Mapping[str, Any]) -> set[str]:
    parts: Sequence[Mapping[str, Any]] = schema.get("allOf", ())
    return set(schema.get("properties", ())).union(*(_members(part) for part in parts))


@cache
def _schemas() -> Mapping[str, Any]:
    schemas = [json.loads(path.read_text()) for folder in _FOLDERS for path in folder.glob("*.json")]
    return {schema["$id"]: schema for schema in schemas}


@cache
def _validator(url: str) -> jsonschema_rs.Draft202012Validator:
    registry = jsonschema_rs.Registry(list(_schemas().items()))
    return jsonschema_rs.Draft202012Validator({"$ref": url}, registry=registry, validate_formats=True)


def _handler(receiver: OpenLineageReceiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if receiver.closed:
                self.close_connection = True
                return
            assert self.headers["content-type"] == "application/json"
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, answer = receiver.take(self.path, headers, body)
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("location", "/elsewhere")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name in the base class)
            pass

    return Handler
