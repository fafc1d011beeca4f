"""Reports in JUnit's XML, as the plug-ins of Jenkins and GitLab read it.

Elements and attributes are those of the schema `junit-10.xsd` of the xUnit plug-in of Jenkins
(https://github.com/jenkinsci/xunit-plugin), which includes the elements of Maven Surefire for repeated runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final
from xml.etree import ElementTree as ET

from databuild.reports.build_report import BuildReport, ReportedCheck, ReportedRun, ReportedTask

_INVALID: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 does not allow (https://www.w3.org/TR/xml/#charsets)."""


def junit_report(report: BuildReport) -> str:
    """Returns the text of an XML file with a suite for each job, for its checks, and for the build itself.

    A test case is a task, a check, or a partition that was taken from another build, which counts as skipped. A check
    that did not pass is a failure if its severity is ERROR, and otherwise skipped, so that it stays visible.
    """
    suites = [_suite(f"build {report.build.build_request_id}", [_build_case(report)], report)]
    labels = sorted({task.job_label for task in report.tasks} | {taken.job_label for taken in report.taken})
    for label in labels:
        cases = [_task_case(report, task) for task in report.tasks if task.job_label == label]
        cases += _taken_cases(report, label)
        suites.append(_suite(label, cases, report))
    by_label: dict[str, list[ReportedCheck]] = {}
    for check in report.checks:
        by_label.setdefault(check.job_label, []).append(check)
    for label, checks in sorted(by_label.items()):
        suites.append(_suite(f"{label} checks", [_check_case(check) for check in checks], report))
    root = ET.Element("testsuites", name=_clean(report.build.graph_label), time=_time(report.seconds))
    for total in ("tests", "failures", "errors"):
        root.set(total, str(sum(int(suite.attrib[total]) for suite in suites)))
    root.extend(suites)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(name: str, cases: Sequence[ET.Element], report: BuildReport) -> ET.Element:
    started = datetime.fromtimestamp(report.build.received_time, UTC)
    suite = ET.Element("testsuite", name=_clean(name), tests=str(len(cases)))
    for attribute, element in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(sum(case.find(element) is not None for case in cases)))
    suite.set("time", _time(sum(float(case.attrib["time"]) for case in cases)))
    suite.set("timestamp", started.strftime("%Y-%m-%dT%H:%M:%S"))
    suite.extend(cases)
    return suite


def _build_case(report: BuildReport) -> ET.Element:
    """Returns the case of the build: an error if no job is the cause of its failure."""
    build = report.build
    case = _case(f"build {build.build_request_id}", build.graph_label, report.seconds)
    if build.status == "CANCELLED":
        _add(case, "skipped", "CANCELLED", build.failure.message if build.failure else "the build was cancelled")
    elif build.failure is not None and not report.failed_tasks:
        _add(case, "error", build.failure.category, build.failure.message)
    elif not report.ended:
        _add(case, "skipped", build.status, "the build has not ended")
    if report.warnings:
        ET.SubElement(case, "system-err").text = _clean("\n".join(report.warnings))
    return case


def _task_case(report: BuildReport, task: ReportedTask) -> ET.Element:
    case = _case(task.name, task.job_label, task.runs[-1].record.duration_seconds if task.runs else 0.0)
    if not task.runs:
        reason = "the build ended before the task ran" if report.ended else "the task has not run yet"
        _add(case, "skipped", report.build.status, reason)
        return case
    last = task.runs[-1]
    failed = last.record.status == "FAILED"
    category = last.record.failure.category if last.record.failure else last.record.status
    if failed:
        # Surefire: failures are of the tested code, errors of everything around it.
        element = "error" if category in {"INFRASTRUCTURE", "LOST"} else "failure"
        _add(case, element, category, last.reason, last.reason)
    elif last.record.status != "COMPLETED":
        _add(case, "skipped", category, last.reason or f"the job run is {last.record.status}")
    for run in task.runs[:-1]:
        _add_earlier(case, "rerunFailure" if failed else "flakyFailure", run)
    _add_logs(case, last)
    return case


def _add_earlier(case: ET.Element, element: str, run: ReportedRun) -> None:
    """Adds a failed attempt after which the task was tried again."""
    category = run.record.failure.category if run.record.failure else run.record.status
    earlier = ET.SubElement(
        case, element, message=_clean(f"attempt {run.record.attempt}: {run.reason}"), type=_clean(category)
    )
    _add_logs(earlier, run)


def _add_logs(parent: ET.Element, run: ReportedRun) -> None:
    for element, text in (("system-out", run.stdout_tail), ("system-err", run.stderr_tail)):
        if text:
            ET.SubElement(parent, element).text = _clean(text)


def _taken_cases(report: BuildReport, label: str) -> Iterable[ET.Element]:
    for taken in report.taken:
        if taken.job_label == label:
            for ref in taken.refs:
                case = _case(ref, label, 0.0)
                _add(case, "skipped", "DELEGATED", f"taken from build {taken.build_request_id}")
                yield case


def _check_case(check: ReportedCheck) -> ET.Element:
    case = _case(check.title, f"{check.job_label} checks", 0.0)
    if not check.passed:
        message = check.message or "the check did not pass"
        _add(case, "failure" if check.severity == "ERROR" else "skipped", check.severity, message, check.job_run_id)
    return case


def _case(name: str, classname: str, seconds: float) -> ET.Element:
    return ET.Element("testcase", name=_clean(name), classname=_clean(classname), time=_time(seconds))


def _add(case: ET.Element, element: str, kind: str, message: str, text: str = "") -> None:
    child = ET.SubElement(case, element, type=_clean(kind), message=_clean(message))
    child.text = _clean(text) or None


def _time(seconds: float) -> str:
    """Formats seconds as Surefire does: digits without separators, and three decimal digits."""
    return f"{seconds:.3f}"


def _clean(text: str) -> str:
    return _INVALID.sub("\ufffd", text)
