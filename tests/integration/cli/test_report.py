"""`report`, and the reports that builds leave."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.support.script_graph import ScriptGraph

FORMATS = ("markdown", "junit", "html", "json")


def test_a_report_shows_the_failed_task_with_the_end_of_its_log(graph: ScriptGraph) -> None:
    graph("build", "sum/ab_fail-x", "--keep_going")

    code, report, _ = graph("report")
    assert code == 0
    assert re.match(r"## ❌ Build `[\w-]+` FAILED\n", report)
    assert "**//numbers:number**: `number/fail-x`, USER: " in report
    assert "cannot make fail-x" in report
    assert "- **Tasks:** 3, 1 completed, 1 failed" in report


@pytest.mark.parametrize("report_format", FORMATS)
def test_reports_of_a_service_are_those_of_the_command_line(graph: ScriptGraph, report_format: str) -> None:
    graph("build", "sum/ab_fail-x", "--keep_going")
    code, report, _ = graph("report", f"--format={report_format}")
    server = f"--server={graph.serve().addresses['grpc']}"
    assert graph("report", f"--format={report_format}", server) == (code, report, "")


def test_a_build_leaves_reports_however_it_ends(graph: ScriptGraph, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("report.md", "report.html", "report.json", "more.xml")]
    flags = [*(f"--report={file.name}" for file in files), "--junit_xml=junit.xml"]
    assert graph("build", "sum/ab_fail-x", *flags)[0] == 1
    failed = ET.parse(tmp_path / "junit.xml").getroot()
    assert failed.attrib["failures"] == "1"
    assert (tmp_path / "more.xml").read_bytes() == (tmp_path / "junit.xml").read_bytes()
    assert json.loads(files[2].read_text())["build"]["status"] == "FAILED"

    (tmp_path / "go-fail-x").touch()
    assert graph("retry", *flags)[0] == 0
    passed = ET.parse(tmp_path / "junit.xml").getroot()
    assert passed.attrib["failures"] == "0"
    assert json.loads(files[2].read_text())["build"]["status"] == "COMPLETED"
    assert "COMPLETED" in files[0].read_text()
    assert "<svg" in files[1].read_text()
    assert sorted(path.name for path in tmp_path.glob(".*.md.*")) == []


def test_the_first_build_of_a_log_leaves_a_report_under_a_chosen_id(graph: ScriptGraph, tmp_path: Path) -> None:
    assert graph("build", "number/one", "--build_request_id=one", "--report=report.json")[0] == 0
    assert json.loads((tmp_path / "report.json").read_text())["build"]["build_request_id"] == "one"


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("--report=report.txt", "--report takes a file whose name ends in one of .md, .xml, .html, .json"),
        ("--report=nowhere/report.md", "is not a folder that you may write to"),
        ("--junit_xml=data", "it is a folder"),
    ],
)
def test_a_report_that_cannot_be_written_is_refused_before_the_build(
    graph: ScriptGraph, tmp_path: Path, flag: str, said: str
) -> None:
    (tmp_path / "data").mkdir()
    code, out, err = graph("build", "number/one", flag)
    assert (code, out) == (2, "")
    assert said in err
    assert not (tmp_path / "pid-one").exists()


def test_a_report_that_cannot_be_written_after_the_build_fails_the_command(graph: ScriptGraph, tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    folder.mkdir()
    with graph.start("build", "number/wait-x", "--report=reports/report.md") as process:
        graph.wait_for("waiting-wait-x")
        folder.rmdir()
        (tmp_path / "go-wait-x").touch()
        out, err = process.communicate()
    assert "COMPLETED" in out
    assert "databuild: the report could not be written: " in err
    assert process.returncode == 3


def test_a_pruned_build_has_no_report(graph: ScriptGraph) -> None:
    graph("build", "number/one")
    graph("prune", "--keep=0")
    code, out, err = graph("report")
    assert (code, out) == (2, "")
    assert "no report can be made" in err
