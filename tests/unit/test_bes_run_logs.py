"""The logs of job runs, as an exporter to a Build Event Service finds them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from databuild.exporters.bes.run_results import RunLogs
from databuild.model.records import JobRunRecord
from databuild.v1 import events_pb2 as ev


class Folder:
    """A folder with logs that counts how many were looked up."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.looked_up = 0
        self.logs = RunLogs(self._place, lambda _job_run, _stream, _max_bytes: b"")

    def _place(self, job_run: JobRunRecord, stream: str) -> str:
        self.looked_up += 1
        return f"{job_run.log_store or self.folder}/{job_run.job_run_id}.{stream}"

    def write(self, number: int, stream: str, text: str) -> None:
        (self.folder / f"b.{number}.{stream}").write_text(text)

    def found(self, number: int, log_store: str = "", build: str = "b") -> Sequence[tuple[str, int]]:
        """Returns the names and lengths of the logs of a job run."""
        job = ev.JobEvent(job_run_id=f"b.{number}", status=ev.JOB_STATUS_COMPLETED)
        if log_store:
            job.stdout_bytes, job.stderr_bytes = 7, 0
        event = ev.BuildEvent(build_request_id=build, job=job)
        return [(file.name, file.length) for file in self.logs.files(event, log_store)]


def test_job_runs_without_logs_are_not_looked_up_one_by_one(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write(9, "stdout", "nine")

    assert folder.found(1) == []
    looked_up = folder.looked_up
    assert folder.found(2) == folder.found(3) == []
    assert folder.looked_up == looked_up


def test_a_folder_that_does_not_exist_has_no_logs(tmp_path: Path) -> None:
    assert Folder(tmp_path / "none").found(1) == []


def test_logs_of_later_events_are_found(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    assert folder.found(1) == []
    folder.write(2, "stdout", "two")

    folder.logs.look_again()

    assert folder.found(2) == [("stdout", 3)]


def test_logs_of_more_job_runs_than_are_listed(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    for number in range(201):
        folder.write(number, "stderr", "wrong")

    assert folder.found(200) == [("stderr", 5)]
    assert folder.found(201) == []


def test_builds_without_logs_hide_no_logs_of_other_builds(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    assert folder.found(1) == []
    folder.write(2, "stdout", "two")

    assert folder.found(2, build="other") == [("stdout", 3)]


def test_an_empty_folder_hides_no_logs_in_a_store(tmp_path: Path) -> None:
    folder = Folder(tmp_path)

    assert folder.found(1, log_store="s3://bucket/logs") == [("stdout", 7)]
    assert folder.found(2, log_store="s3://bucket/logs") == [("stdout", 7)]
