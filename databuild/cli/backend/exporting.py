"""The exporters of an invocation, by its flags and its graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from databuild.cli.backend.engines import client_tls, credential_helper, headers_of
from databuild.cli.backend.invocation import Invocation
from databuild.cli.backend.job_environment import SIGNING_VARIABLE
from databuild.cli.flags.exit_codes import exit_code_of
from databuild.cli.flags.usage_error import UsageError

if TYPE_CHECKING:
    from databuild.event_log.log import EventLog
    from databuild.exporters.environment_exports import EnvironmentExports
    from databuild.exporters.export_set import ExportSet
    from databuild.exporters.exporter import Exporter
    from databuild.exporters.registry import RefPattern
    from databuild.exporters.webhook.template import Template
    from databuild.graph.catalog import JobCatalog
    from databuild.model.records import JobRunRecord
    from databuild.orchestration.logs.stored_logs import LogReader

_BES = "bes:"
_DEFAULT_OCCASIONS = ("failure", "check")


def start_exports(call: Invocation, event_log: EventLog, exporters: Sequence[Exporter]) -> ExportSet | None:
    """Begins to export the events of an event log; returns None without exporters.

    Raises:
        EventLogError: The event log failed.
    """
    if not exporters:
        return None
    exports = export_set(call, event_log, exporters)
    exports.start()
    return exports


def export_set(call: Invocation, event_log: EventLog, exporters: Sequence[Exporter]) -> ExportSet:
    """Returns exporters over an event log, which have not begun yet."""
    from databuild.event_log import liveness
    from databuild.exporters.export_set import ExportSet

    return ExportSet(event_log, exporters, warn=lambda text: call.err.line(f"databuild: {text}"), liveness=liveness)


def environment_exports(call: Invocation) -> EnvironmentExports:
    """Returns the exporters of a service for the environments beside the base, which have not begun yet."""
    from databuild.event_log import liveness
    from databuild.event_log.open import EnvironmentLogs
    from databuild.exporters.environment_exports import EnvironmentExports

    return EnvironmentExports(
        EnvironmentLogs(call.event_log_uri),  # without sinks, since it writes no events
        lambda environment: open_exporters(call, environment),
        seconds=call.flags["exporter_seconds"],
        warn=lambda text: call.err.line(f"databuild: {text}"),
        liveness=liveness,
    )


def open_exporters(call: Invocation, environment: str) -> Sequence[Exporter]:
    """Returns the exporters that flags or the graph name.

    Those that only the graph names are left out if no variable says where they send to.

    Args:
        call: The invocation.
        environment: The environment whose events are sent; empty for the base.

    Raises:
        InvalidRequestError: An address, a template, or a variable of the environment cannot be used.
        UsageError: A flag is invalid.
    """
    return [*_webhooks(call, environment), *_extensions(call, environment)]


def _webhooks(call: Invocation, environment: str) -> Sequence[Exporter]:
    urls: Sequence[str] = call.flags["notify"] or call.catalog().notify
    if not urls:
        return []
    from databuild.exporters.webhook.exporter import WebhookExporter

    occasions = _occasions(call)
    secret = call.environ.get(SIGNING_VARIABLE, "").encode()
    wait_seconds: float = call.flags["notify_wait_seconds"]
    if not wait_seconds > 0:
        raise UsageError(f"--notify_wait_seconds={wait_seconds:g} must be greater than 0", call.command)
    template = _template(call)
    return [
        WebhookExporter(
            url,
            occasions,
            secret=secret,
            template=template,
            wait_seconds=wait_seconds,
            environment=environment,
        )
        for url in urls
    ]


def _extensions(call: Invocation, environment: str) -> Sequence[Exporter]:
    catalog = call.catalog()
    uris: Sequence[str] = call.flags["exporter"] or catalog.exporters
    if call.flags.get("bes_results_url") and not any(uri.startswith(_BES) for uri in uris):
        raise UsageError(f"--bes_results_url needs --exporter={_BES}grpc://HOST:PORT", call.command)
    if not uris:
        return []
    from databuild.exporters.registry import ExporterOptions, check_exporter, has_endpoint, open_exporter

    for uri in uris:
        check_exporter(uri, catalog.extensions)
    if not call.flags["exporter"]:
        uris = [uri for uri in uris if has_endpoint(uri, call.environ)]
    logs = _LogEnds(call, environment)
    options = ExporterOptions(
        environ=call.environ,
        log_place=logs.place,
        read_log=logs.read,
        pattern_of=_patterns_of(catalog),
        exit_code_of=exit_code_of,
        environment=environment,
        headers=headers_of(call, "bes_header"),
        credential_helper=credential_helper(call),
        tls=client_tls(call),
    )
    return [open_exporter(uri, options, catalog.extensions) for uri in dict.fromkeys(uris)]


def _patterns_of(catalog: JobCatalog) -> Callable[[str], RefPattern | None]:
    """Returns a function that returns the pattern of a ref; None if no pattern of the graph matches it."""
    from databuild.exporters.registry import RefPattern

    def pattern_of(ref: str) -> RefPattern | None:
        match = catalog.pattern_of(ref)
        if match is None:
            return None
        pattern, fields = match
        return RefPattern(pattern.text, fields, catalog.folders[pattern.text])

    return pattern_of


def print_results_url(call: Invocation, build_request_id: str) -> None:
    """Prints the address of the page of a build if a flag or the graph says where pages are."""
    if base := call.flags["bes_results_url"] or _results_url_of_graph(call):
        from databuild.model.bes_invocation import results_url

        call.err.line(f"databuild: results: {results_url(base, build_request_id)}")


def _results_url_of_graph(call: Invocation) -> str:
    """Returns the URL of pages that the graph names; empty if the build is not sent to a service with such pages."""
    if call.server:  # the exporters are those of the service
        return ""
    catalog = call.catalog()
    uris = call.flags["exporter"] or catalog.exporters
    return catalog.bes_results_url if any(uri.startswith(_BES) for uri in uris) else ""


class _LogEnds:
    """Reads the ends of logs, wherever they are."""

    def __init__(self, call: Invocation, environment: str) -> None:
        self._call = call
        self._folder = call.log_dir_of(environment)
        self._reader: LogReader | None = None

    def place(self, job_run: JobRunRecord, stream: str) -> str:
        if not job_run.log_store:  # without the import of stores, which takes 2.5 ms
            from databuild.orchestration.logs.log_files import log_path

            return log_path(self._folder, job_run, stream)
        return self._logs().place(job_run, stream)

    def read(self, job_run: JobRunRecord, stream: str, max_bytes: int) -> bytes:
        reader = self._logs()
        size = reader.size(job_run, stream)
        return reader.read(job_run, stream, max(size - max_bytes, 0), max_bytes)

    def _logs(self) -> LogReader:
        if self._reader is None:
            from databuild.cli.backend.log_stores import storages
            from databuild.orchestration.logs.stored_logs import LogReader

            self._reader = LogReader(self._folder, storages(self._call))
        return self._reader


def _occasions(call: Invocation) -> Sequence[str]:
    from databuild.exporters.webhook.notifications import OCCASIONS

    occasions: Sequence[str] = call.flags["notify_on"]
    for occasion in occasions:
        if occasion not in OCCASIONS:
            raise UsageError(f"--notify_on={occasion} is none of {', '.join(OCCASIONS)}", call.command)
    return occasions or call.catalog().notify_on or _DEFAULT_OCCASIONS


def _template(call: Invocation) -> Template | None:
    from databuild.exporters.webhook.template import Template

    if not call.flags["notify_template"]:
        return None
    from pathlib import Path

    path = Path(call.path(call.flags["notify_template"]))
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the template of --notify_template cannot be read: {error}", call.command) from None
    return Template(text)
