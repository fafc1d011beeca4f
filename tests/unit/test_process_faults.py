"""The end of a process is translated into a category, a message with the next step, and a decision about retries."""

from __future__ import annotations

import pytest

from databuild.executors.executor import ProcessResult, WorkerFault
from databuild.executors.start_faults import StartFault
from databuild.orchestration.jobs.process_faults import end_of_output, process_fault
from databuild.v1 import partition_pb2 as pt
from tests.support.present import present

USER, INFRASTRUCTURE = pt.FAILURE_CATEGORY_USER, pt.FAILURE_CATEGORY_INFRASTRUCTURE
MAYBE = "; the machine or container may have run out of memory"


def test_exit_code_0_is_no_fault() -> None:
    assert process_fault(ProcessResult(exit_code=0), 5.0) is None


@pytest.mark.parametrize(
    ("exit_code", "category", "message"),
    [
        (1, USER, "ended with exit code 1"),
        (128, USER, "ended with exit code 128"),
        (255, USER, "ended with exit code 255"),
        (137, INFRASTRUCTURE, f"ended with exit code 137: a command in it was ended by signal 9 (SIGKILL){MAYBE}"),
        (143, INFRASTRUCTURE, "ended with exit code 143: a command in it was ended by signal 15 (SIGTERM)"),
        (139, USER, "ended with exit code 139: a command in it was ended by signal 11 (SIGSEGV)"),
        (-9, INFRASTRUCTURE, f"was ended by signal 9 (SIGKILL){MAYBE}"),
        (-11, USER, "was ended by signal 11 (SIGSEGV)"),
        (-40, INFRASTRUCTURE, "was ended by signal 40"),
    ],
)
def test_a_signal_is_named_whoever_reports_it(exit_code: int, category: pt.FailureCategory, message: str) -> None:
    fault = process_fault(ProcessResult(exit_code=exit_code), None)

    assert fault == (category, message, False)


@pytest.mark.parametrize("exit_code", [-9, 137])
def test_memory_that_ran_out_is_said_for_sure_where_the_kernel_counted_it(exit_code: int) -> None:
    message = present(process_fault(ProcessResult(exit_code=exit_code, oom_kills=1), None)).message

    assert "out of memory: the kernel killed a process meanwhile" in message
    assert "may have" not in message


def test_a_fault_of_the_job_is_final_and_one_of_the_machine_is_not() -> None:
    of_job = process_fault(
        ProcessResult(exit_code=-1, start_fault=StartFault(message="no #! line", users_fault=True)), None
    )
    of_machine = process_fault(ProcessResult(exit_code=-1, start_fault=StartFault(message="no memory")), None)

    assert of_job == (USER, "could not be started: no #! line", True)
    assert of_machine == (INFRASTRUCTURE, "could not be started: no memory", False)


def test_a_timeout_names_the_processes_that_could_not_be_ended() -> None:
    fault = process_fault(ProcessResult(exit_code=-9, timed_out=True, unended=(7, 8)), 5.0)
    assert fault is not None

    assert fault.category == pt.FAILURE_CATEGORY_TIMEOUT
    assert fault.message == (
        "ran longer than its timeout of 5 seconds; the processes 7, 8 wait in the kernel and could not be ended; they "
        "may still write"
    )


@pytest.mark.parametrize(
    ("stdout", "stderr", "shown"),
    [(b"out", b"err", "err"), (b"out\n", b"", "out"), (b"out", b" \n", "out"), (b"", b"", "")],
)
def test_the_output_shown_is_that_which_has_something(stdout: bytes, stderr: bytes, shown: str) -> None:
    assert end_of_output(ProcessResult(exit_code=1, stdout=stdout, stderr=stderr)) == shown


def test_a_fault_of_a_worker_is_that_of_its_program_or_of_the_machine() -> None:
    of_program = WorkerFault(message="was not served: its worker sent b'OK'")
    of_machine = WorkerFault(message="was not finished", users_fault=False)

    faults = [process_fault(ProcessResult(exit_code=1, worker_fault=fault), None) for fault in (of_program, of_machine)]

    assert faults == [
        (USER, "was not served: its worker sent b'OK'", False),
        (INFRASTRUCTURE, "was not finished", False),
    ]
