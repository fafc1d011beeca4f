"""The exporters of an invocation, by its flags and its graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from databuild.cli.backend.invocation import Invocation
from databuild.cli.backend.job_environment import SIGNING_VARIABLE
from databuild.cli.flags.usage_error import UsageError

if TYPE_CHECKING:
    from databuild.event_log.log import EventLog
    from databuild.exporters.export_set import ExportSet
    from databuild.exporters.webhook.template import Template

_DEFAULT_OCCASIONS = ("failure", "check")


def start_exports(call: Invocation, event_log: EventLog) -> ExportSet | None:
    """Begins to export the events of an event log; returns None if neither flags nor the graph want that.

    Raises:
        InvalidRequestError: An address or a template cannot be used.
        UsageError: A flag is invalid.
        EventLogError: The event log failed.
    """
    urls: Sequence[str] = call.flags["notify"] or call.catalog().notify
    if not urls:
        return None
    from databuild.event_log import liveness
    from databuild.exporters.export_set import ExportSet
    from databuild.exporters.webhook.exporter import WebhookExporter

    occasions = _occasions(call)
    secret = call.environ.get(SIGNING_VARIABLE, "").encode()
    wait_seconds: float = call.flags["notify_wait_seconds"]
    if not wait_seconds > 0:
        raise UsageError(f"--notify_wait_seconds={wait_seconds:g} must be greater than 0", call.command)
    template = _template(call)
    exporters = [
        WebhookExporter(url, occasions, secret=secret, template=template, wait_seconds=wait_seconds) for url in urls
    ]
    exports = ExportSet(event_log, exporters, warn=lambda text: call.err.line(f"databuild: {text}"), liveness=liveness)
    exports.start()
    return exports


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
