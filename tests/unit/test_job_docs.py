"""Runs the programs in docs/writing_jobs.md."""

import contextlib
import re
import sqlite3
from pathlib import Path
from typing import Any

from databuild.job import Found
from databuild.orchestration.jobs.check_process import parse_check_response
from databuild.testing import GivenInput, JobUnderTest

PAGE = Path("docs/writing_jobs.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
PATTERNS = ("report/month={month:month}", "visitors/date={date:date}")


def program(text: str, data: Path | str = "/data") -> dict[str, Any]:
    """Returns the names in the program of the page that contains a text, with another folder for its data."""
    (source,) = [candidate for candidate in PROGRAMS if text in candidate]
    names: dict[str, Any] = {"__name__": "job"}
    exec(source.replace("/data", str(data)), names)
    return names


def test_the_declared_job_of_the_page_writes_its_report(tmp_path: Path) -> None:
    days = [f"visitors/date=2026-02-{day:02}" for day in range(1, 29)]
    for day in days:
        (tmp_path / Path(day).name).write_text("7\n")
    inputs = [GivenInput(ref=day, metadata={"path": str(tmp_path / Path(day).name)}) for day in days]
    job = JobUnderTest(program("main(run)", tmp_path)["run"], patterns=PATTERNS)
    result = job.execute(folder=tmp_path, outputs=["report/month=2026-02"], inputs=inputs)

    assert result.error is None
    assert [check["passed"] for check in result.of("check")] == [True]
    path = result.metadata("report/month=2026-02")["path"]
    assert path == f"{tmp_path}/report/2026-02"
    assert Path(path).read_text() == "28 days, 196 visitors\n"


def test_the_check_of_the_page_answers_from_its_table(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "visitors.db")) as database, database:
        database.execute("CREATE TABLE visitors (ref TEXT, name TEXT)")
        database.execute("INSERT INTO visitors VALUES ('visitors/date=2026-02-01', 'ann')")
    names = program("main(run, check=check)", tmp_path)

    answer = JobUnderTest(names["run"], check=names["check"]).check(
        "visitors/date=2026-02-01", "visitors/date=2026-02-02"
    )
    assert answer == {"visitors/date=2026-02-01": Found()}
    (example,) = re.findall(r'```json\n({"found".*?)```', PAGE, re.DOTALL)
    refs = re.findall(r"visitors/date=[0-9-]+", example)
    parsed = parse_check_response(example.encode(), refs)
    assert [*parsed.found, *parsed.unreadable] == refs


def test_the_job_with_config_of_the_page_answers_as_the_page_shows() -> None:
    names = program("main(config, run)")
    (config,) = JobUnderTest(names["config"], names["run"]).configure("sum/pippin_salem")

    for ref in (*config.outputs, *config.materialize, *config.args):
        assert f'"{ref}"' in PAGE
