"""The formats of reports."""

from __future__ import annotations

from typing import Final

from databuild.reports.build_report import BuildReport

ENDINGS: Final = {".md": "markdown", ".xml": "junit", ".html": "html", ".json": "json"}
"""The format of a file, by the ending of its name."""


def render(report: BuildReport, report_format: str) -> str:
    """Returns the text of a report in one of the formats. It imports only the modules of that format."""
    if report_format == "junit":
        from databuild.reports.junit import junit_report

        return junit_report(report)
    if report_format == "html":
        from databuild.reports.html import html_report

        return html_report(report)
    if report_format == "json":
        from databuild.reports.json_report import json_report

        return json_report(report)
    from databuild.reports.markdown import markdown_report

    return markdown_report(report)
