"""Reports as JSON, for programs."""

from __future__ import annotations

import json
from typing import Any

from databuild.reports.build_report import BuildReport


def json_report(report: BuildReport) -> str:
    """Returns a JSON object with the attributes of `BuildReport`; records are objects, too. Times are as in records."""
    return json.dumps(_as_json(report), indent=2, ensure_ascii=False) + "\n"


def _as_json(value: Any) -> Any:
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: _as_json(getattr(value, name)) for name in value._fields}
    if isinstance(value, (list, tuple)):
        return [_as_json(item) for item in value]
    return value
