"""databuild.job: the command line, the checks of answers, reports and files."""

from __future__ import annotations

import io
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import json_format

from databuild.job import Config, ConfigError, Run, content_digest, main, writing
from databuild.job.answers import ask, to_json
from databuild.job.process_state import ProcessState
from databuild.job.wire import parse_request, read_framed, write_framed
from databuild.job.worker import respond
from databuild.v1 import job_pb2, partition_pb2
from tests.support.present import present

if TYPE_CHECKING:
    from databuild.job.program import ConfigFunction, RunFunction
from tools.python import child


def config(refs: Sequence[str]) -> list[Config]:
    print("not part of the answer")
    return [Config(outputs=[ref], materialize=["raw/ä\n"], query=["seen"], args=[ref], env={"A": "1"}) for ref in refs]


def run(run: Run) -> None:
    run.finished(run.args[0], rows=842, content_digest="sha256:1")


def call(*words: str, config: ConfigFunction = config, run: RunFunction = run) -> int | str | None:
    with pytest.raises(SystemExit) as stop:
        main(config, run, ["job", *words])
    return stop.value.code


def test_config_prints_a_configure_response(capsys: pytest.CaptureFixture[str]) -> None:
    code = call("config", "a/x", "a/y")
    message = json_format.Parse(capsys.readouterr().out, job_pb2.JobConfigureResponse())

    assert code == 0
    assert [output.str for one in message.configs for output in one.outputs] == ["a/x", "a/y"]
    first = message.configs[0]
    assert [(dep.dep_type_code, dep.partition_ref.str) for dep in first.inputs] == [(1, "raw/ä\n"), (0, "seen")]
    assert (list(first.args), dict(first.env)) == (["a/x"], {"A": "1"})


def test_config_without_refs_is_misuse(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("config") == 2
    assert "needs the refs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda refs: [], "no Config has the output 'a/x'"),
        (lambda refs: None, "returned None"),
        (lambda refs: ["a/x"], "not a Config"),
        (lambda refs: config(refs) * 2, "an output twice"),
        (lambda refs: [Config(outputs="a/x")], "a list of strings"),
        (lambda refs: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_a_broken_config_function_is_explained(
    broken: Callable[[Sequence[str]], Any], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("config", "a/x", config=broken) == 1
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.out == ""


def test_a_config_needs_an_output() -> None:
    with pytest.raises(ConfigError, match="has no outputs"):
        Config(outputs=[])


def test_the_program_without_arguments_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    assert call() == 2
    assert "config REF..." in capsys.readouterr().err


def test_help_is_no_misuse(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--help") == 0
    assert "exec ARGS..." in capsys.readouterr().out


def test_an_unknown_command_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("bake") == 2
    assert "'bake'" in capsys.readouterr().err


def test_exec_that_raises_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("exec") == 1
    assert "no arguments" in capsys.readouterr().err


def test_reports_are_job_reports(tmp_path: Path) -> None:
    report = tmp_path / "report"
    one = Run(["x"], {"DATABUILD_REPORT": str(report)})
    one.finished("a/x", rows=842, content_digest="sha256:1")
    one.metric("rows_read", 842)
    passed = one.check("whole", False, severity="warning", ref="a/x", message="a hole")
    one.progress(0.5, "half")
    messages = [json_format.Parse(line, job_pb2.JobReport()) for line in report.read_text().splitlines()]

    assert not passed
    assert messages[0].partition.metadata["rows"] == 842
    assert messages[0].partition.content_digest == "sha256:1"
    assert messages[1].metric.value == 842
    assert messages[2].check.severity == partition_pb2.CheckResult.SEVERITY_WARNING
    assert messages[3].progress.fraction == 0.5


def test_without_a_report_file_nothing_is_reported() -> None:
    Run([], {}).finished("a/x")


def test_a_file_is_complete_or_absent(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file.txt"

    def write_half() -> None:
        with writing(path) as temporary:
            (path.parent / temporary).write_text("half")
            raise ValueError("half")

    with pytest.raises(ValueError, match="half"):
        write_half()
    assert list(path.parent.iterdir()) == []

    with writing(path, sync=True) as temporary:
        (path.parent / temporary).write_text("whole")
    assert [file.name for file in path.parent.iterdir()] == ["file.txt"]
    assert content_digest(path).startswith("sha256:")


def test_configuring_imports_nothing_slow() -> None:
    program = "import sys, databuild.job; print(*sys.modules)"
    done = subprocess.run(child.command("-c", program, flags=("-S",)), capture_output=True, text=True, check=True)

    slow = {"typing", "enum", "re", "json", "dataclasses", "argparse", "pathlib", "google", "socket", "datetime"}
    assert not slow & set(done.stdout.split())


def test_a_worker_starts_without_slow_imports() -> None:
    program = "import sys, databuild.job.worker; print(*sys.modules)"
    done = subprocess.run(child.command("-c", program, flags=("-S",)), capture_output=True, text=True, check=True)

    slow = {"typing", "re", "json", "dataclasses", "contextlib", "traceback", "pathlib", "google", "socket", "datetime"}
    assert not slow & set(done.stdout.split())


def config_that_fails(_refs: Sequence[str]) -> list[Config]:
    raise ZeroDivisionError("division by zero")


def answer_of(
    request: job_pb2.JobRequest, config: ConfigFunction = config, run: RunFunction = run
) -> job_pb2.JobResponse:
    """Returns the response of a worker to a JobRequest."""
    response = respond(parse_request(request.SerializeToString()), config, run, ProcessState())
    return job_pb2.JobResponse.FromString(response)


def test_a_worker_answers_as_config_does() -> None:
    request = job_pb2.JobRequest(request_id=7)
    request.configure.outputs.add(str="a/x")
    response = answer_of(request)

    assert response.request_id == 7
    expected = json_format.Parse(to_json(ask(config, ["a/x"])), job_pb2.JobConfigureResponse())
    for dep in expected.configs[0].inputs:
        dep.ClearField("dep_type_name")
    assert response.configure == expected


def test_a_worker_survives_what_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    request = job_pb2.JobRequest(request_id=8)
    request.execute.args.append("a/x")
    request.execute.env["DATABUILD_REPORT"] = str(tmp_path / "report")
    unknown = job_pb2.JobRequest(request_id=9)
    empty = job_pb2.JobRequest(request_id=10)
    empty.execute.SetInParent()
    configure = job_pb2.JobRequest(request_id=11)
    configure.configure.outputs.add(str="a/x")

    assert answer_of(request).execute.exit_code == 0
    assert "a/x" in (tmp_path / "report").read_text()
    assert answer_of(unknown).failure.message
    assert answer_of(empty).execute.exit_code == 1
    assert answer_of(configure, config=config_that_fails).failure.message.startswith("config failed: ZeroDivisionError")
    assert capsys.readouterr().err.splitlines()[-1] == "ZeroDivisionError: division by zero"
    not_unicode = answer_of(configure, config=lambda refs: [Config(outputs=refs, args=["\udcff"])])
    assert not_unicode.failure.message.startswith("config failed: UnicodeEncodeError")


def test_a_worker_serves_until_its_requests_end() -> None:
    frames = io.BytesIO()
    for number in (1, 2):
        request = job_pb2.JobRequest(request_id=number)
        request.configure.outputs.add(str="a/x")
        write_framed(frames, request.SerializeToString())
    program = "from databuild.job import Config, main\n"
    program += "main(lambda refs: [print('noise') or Config(outputs=refs)], print)\n"
    code, sent, err = worker_of(program, frames.getvalue())
    answers = io.BytesIO(sent)
    responses = [job_pb2.JobResponse.FromString(present(read_framed(answers))) for _ in range(3)]

    assert code == 0
    assert responses[0].hello.protocol_version == 1
    assert [response.request_id for response in responses] == [0, 1, 2]
    assert read_framed(answers) is None
    assert err == "noise\nnoise\n"
    code, _, err = worker_of(program, frames.getvalue()[:-1])
    assert code == 1
    assert err.splitlines()[-1] == "worker: the stream of requests ends within a request"


def test_a_job_without_config_serves_runs_alone() -> None:
    frames = io.BytesIO()
    configure = job_pb2.JobRequest(request_id=1, configure=job_pb2.JobConfigureRequest())
    execute = job_pb2.JobRequest(request_id=2, execute=job_pb2.JobExecuteRequest(args=["a", "b"]))
    for request in (configure, execute):
        write_framed(frames, request.SerializeToString())
    program = "from databuild.job import main; main(lambda run: print(run.args))"
    _, sent, _ = worker_of(program, frames.getvalue())
    answers = io.BytesIO(sent)
    _, refused, executed = (job_pb2.JobResponse.FromString(present(read_framed(answers))) for _ in range(3))

    assert "it serves execute" in refused.failure.message
    assert (executed.request_id, executed.execute.exit_code) == (2, 0)


def test_the_command_worker_is_not_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("worker") == 2
    assert "started by a graph" in capsys.readouterr().err


def worker_of(program: str, requests: bytes) -> tuple[int, bytes, str]:
    """Lets a program serve requests. Returns its exit code, its responses and its standard error."""
    shell = 'exec 3<"$1" 4>"$2"; shift 2; DATABUILD_WORKER=1 exec "$@"'
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "requests").write_bytes(requests)
        files = (f"{folder}/requests", f"{folder}/responses")
        command = ["sh", "-c", shell, "sh", *files, *child.command("-c", program, "worker")]
        done = subprocess.run(command, capture_output=True, check=False, text=True)
        return done.returncode, Path(folder, "responses").read_bytes(), done.stderr


def test_a_worker_imports_no_protobuf() -> None:
    program = "import sys; import databuild.job.worker; print(*sys.modules)"
    done = subprocess.run(child.command("-c", program, flags=("-S",)), capture_output=True, text=True, check=True)

    assert not {"google", "databuild.v1"} & set(done.stdout.split())
