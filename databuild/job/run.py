"""One run of a job: its arguments, and what it reports.

Reports are lines of JSON, each a JobReport of proto/databuild/v1/job.proto, appended to the file that
`DATABUILD_REPORT` names. Where the variable is not set, as when a job is run by hand, nothing is reported.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Literal


class Run:
    """What a job is given to do its work with.

    Args:
        args: The arguments that `config` asked for.
        environ: The environment of the run.

    Attributes:
        args: The arguments that `config` asked for.
        env: The environment of the run, with the variables that `config` asked for.
        build_request_id: The build that the run is part of; empty without one.
        job_run_id: The id of the run; empty without a build.
        attempt: Which attempt at its task this is, from 1.
    """

    def __init__(self, args: "Sequence[str]", environ: "Mapping[str, str]") -> None:
        self.args = tuple(args)
        self.env = environ
        self.build_request_id = environ.get("DATABUILD_BUILD_REQUEST_ID", "")
        self.job_run_id = environ.get("DATABUILD_JOB_RUN_ID", "")
        self.attempt = int(environ.get("DATABUILD_ATTEMPT") or "1")
        self._report_path = environ.get("DATABUILD_REPORT", "")

    def finished(self, ref: str, *, content_digest: str = "", **metadata: object) -> None:
        """Reports that a partition is complete, whatever becomes of the rest of the run.

        Args:
            ref: The partition, one of the run's outputs.
            content_digest: A digest of the content, equal for equal content; a partition rebuilt to the same digest
                makes nothing stale.
            **metadata: What there is to know of the data, such as `rows=842`; values that JSON has.
        """
        report: dict[str, object] = {"ref": ref}
        if metadata:
            report["metadata"] = metadata
        if content_digest:
            report["content_digest"] = content_digest
        self._report("partition", report)

    def metric(self, name: str, value: float, unit: str = "") -> None:
        """Reports a number that was measured, such as `rows_read`; a unit such as `bytes` or `s`."""
        self._report("metric", {"name": name, "value": value, "unit": unit})

    def check(
        self,
        name: str,
        passed: bool,
        *,
        severity: 'Literal["info", "warning", "error"]' = "error",
        ref: str = "",
        message: str = "",
    ) -> bool:
        """Reports the outcome of a check, and returns whether it passed.

        Args:
            name: The check's name, unique within the job.
            passed: Whether it passed.
            severity: How bad it is if it did not.
            ref: The partition that was checked; empty where it is about the whole run.
            message: One sentence for a person.

        Raises:
            ValueError: The severity is none of those.
        """
        if severity not in {"info", "warning", "error"}:
            raise ValueError(f"severity is {severity!r}; it has to be 'info', 'warning' or 'error'")
        self._report(
            "check",
            {
                "name": name,
                "passed": bool(passed),
                "severity": "SEVERITY_" + severity.upper(),
                "ref": ref,
                "message": message,
            },
        )
        return bool(passed)

    def progress(self, fraction: float, message: str = "") -> None:
        """Reports the share of the work that is done, from 0 to 1, and what is being done; nothing shows it yet."""
        self._report("progress", {"fraction": fraction, "message": message})

    def _report(self, kind: str, report: "Mapping[str, object]") -> None:
        if not self._report_path:
            return
        import json

        line = (json.dumps({kind: report}, allow_nan=False) + "\n").encode()
        # One write of the whole line: a reader, or another process that appends, never sees half of it.
        descriptor = os.open(self._report_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)
