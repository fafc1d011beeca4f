"""Templates of the bodies of notifications, such as for Slack or Microsoft Teams.

A template is a JSON document. In its texts, `${name}` stands for a fact of the notification: `kind`, `id`, `time`, and
the names in its data. Lists are joined by commas. A fact that a kind of notification does not have is empty, and two
dollar signs are one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from databuild.errors import InvalidRequestError
from databuild.exporters.webhook.notifications import Notification

NAMES: Final = frozenset(
    {
        *("kind", "id", "time", "build_request_id", "graph_label", "environment", "requested", "requested_count"),
        *("status", "jobs_completed", "jobs_failed", "message", "category", "cancelled_by", "warnings", "job_run_id"),
        *("job_label", "check", "ref", "severity", "tainted", "waiting_since", "wait_seconds"),
    }
)
"""The facts that a template may name."""

_PLACE: Final = re.compile(r"\$(?:(\$)|\{(\w+)\})")


class Template:
    """A template for the body of a request."""

    def __init__(self, text: str) -> None:
        """Reads a template.

        Raises:
            InvalidRequestError: It is not JSON, or names a fact that does not exist.
        """
        try:
            self._document = json.loads(text)
        except ValueError as error:
            raise InvalidRequestError(f"the template of notifications is not JSON: {error}") from None
        unknown = sorted({name for _, name in _PLACE.findall(text) if name} - NAMES)
        if unknown:
            known = ", ".join(sorted(NAMES))
            raise InvalidRequestError(
                f"the template of notifications names {unknown[0]!r}, which does not exist; there are {known}"
            )

    def fill(self, notification: Notification) -> str:
        """Returns the body for a notification, as JSON."""
        facts = {"kind": notification.kind, "id": notification.id, "time": notification.time, **notification.data}
        return json.dumps(_filled(self._document, {name: _text(value) for name, value in facts.items()}))


def _filled(value: Any, facts: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _PLACE.sub(lambda place: place[1] or facts.get(place[2], ""), value)
    if isinstance(value, list):
        return [_filled(item, facts) for item in value]
    if isinstance(value, dict):
        return {key: _filled(item, facts) for key, item in value.items()}
    return value


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
