"""The main file of SQL jobs. If the job run is stopped, it removes its temporary files."""

from __future__ import annotations

import signal
import sys

from databuild.job import Run, main
from databuild.sql import job

_EXIT_CODE = 128 + signal.SIGTERM


def _stop(number: int, frame: object) -> None:  # noqa: ARG001 - the parameters of a signal handler
    # From now on, the next signal ends the process at once.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sys.exit(_EXIT_CODE)


def run(run: Run) -> None:
    """Runs the job, until SIGTERM."""
    signal.signal(signal.SIGTERM, _stop)
    try:
        job.run(run)
    except RuntimeError:
        # DuckDB raises its own exception if a signal handler has ended a query.
        if signal.getsignal(signal.SIGTERM) is _stop:
            raise
        sys.exit(_EXIT_CODE)


if __name__ == "__main__":
    main(run)
