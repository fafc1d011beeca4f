"""A receiver of OpenLineage over HTTP, and the check of events against the official schemas."""

from __future__ import annotations

import gzip
import json
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
_NO_SCHEMA_OF_FACET = frozenset({"_producer", "_schemaURL", "_deleted"})

Event = Mapping[str, Any]


class OpenLineageReceiver:
    """Keeps the events that it takes, and fails with the first one that is invalid.

    Attributes:
        url: The address for `OPENLINEAGE_URL`.
        events: The events.
        requests: The path and the headers of each request.
        statuses: The status with which each of the next requests is refused.
        seconds: The time that each request takes.
        faults: The faults of invalid events.
        closed: True if connections that are still open get no answers.
    """

    def __init__(self, port: int = 0) -> None:
        self.events: list[Event] = []
        self.requests: list[tuple[str, Mapping[str, str]]] = []
        self.statuses: list[int] = []
        self.seconds = 0.0
        self.closed = False
        self.faults: list[str] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Ends the server, and checks that all events were valid."""
        self.closed = True
        self._server.shutdown()
        self._server.server_close()
        assert not self.faults, self.faults[0]

    def take(self, path: str, headers: Mapping[str, str], body: bytes) -> int:
        """Keeps or refuses an event; returns the status of the answer."""
        time.sleep(self.seconds)
        with self._lock:
            self.requests.append((path, headers))
            if self.statuses:
                return self.statuses.pop(0)
            event = json.loads(body)
            self.faults += faults_of(event)
            self.events.append(event)
            return 201

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
            status = receiver.take(self.path, headers, body)
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("location", "/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name in the base class)
            pass

    return Handler
