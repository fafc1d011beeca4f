"""The GitHub action, run as GitHub's runner runs it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from integrations.github.workflow import MAX_ANNOTATIONS, MAX_MESSAGE, MAX_SUMMARY_BYTES, MAX_TITLE, Step
from tests.support.code_host import CodeHost
from tests.support.github_runner import Ran, Runner, commands_in
from tests.support.script_graph import ScriptGraph
from tools.python import child

ACTION = Path("integrations/github/action.yml").absolute()
LABEL = "//numbers:graph"
NONE = dict.fromkeys(
    [
        *("build-id", "status", "tasks", "jobs-completed", "jobs-failed", "partitions-built", "partitions-taken"),
        *("partitions-failed", "checks-failed", "page"),
    ],
    "",
)

Act: TypeAlias = Callable[..., Ran]


@pytest.fixture
def act(graph: ScriptGraph, host: CodeHost, tmp_path: Path) -> Act:
    """Runs the action for an event, by default a push."""
    folder = tmp_path / "runner"
    folder.mkdir()
    runner = Runner(ACTION, folder, graph.folder, {**graph.environ, "GITHUB_API_URL": host.url})

    def act(event: str = "push", **inputs: str) -> Ran:
        payload = {"pull_request": {"number": 7}} if event == "pull_request" else {"ref": "refs/heads/main"}
        return runner.run(event, payload, bazel="./bazel", graph=LABEL, **inputs)

    return act


def test_a_build_sets_outputs_and_writes_a_summary(act: Act, graph: ScriptGraph) -> None:
    ran = act(partitions="sum/a_bb\nnumber/c", flags="--jobs=1")

    [build] = graph.json("builds")[1]["builds"]
    assert ran.codes == {"build": 0}
    reports = Path(ran.outputs["reports"])
    assert ran.outputs == {
        "build-id": build["build_request_id"],
        "status": "COMPLETED",
        "exit-code": "0",
        "tasks": "4",
        "jobs-completed": "4",
        "jobs-failed": "0",
        "partitions-built": "4",
        "partitions-taken": "0",
        "partitions-failed": "0",
        "checks-failed": "0",
        "page": "https://github.example/acme/data/actions/runs/17",
        "reports": str(reports),
        "stale-partitions": "",
        "stale-jobs": "",
    }
    assert ran.summary == (reports / "report.md").read_text()
    assert f"Build `{build['build_request_id']}` COMPLETED" in ran.summary
    assert sorted(path.name for path in reports.iterdir()) == ["junit.xml", "report.html", "report.json", "report.md"]
    assert ran.used == {"Keep the report": {"name": "databuild", "path": str(reports), "if-no-files-found": "ignore"}}
    assert ran.commands == []
    assert act(page_url="https://data.example/").outputs["page"].startswith("https://data.example/builds/2")


def test_inputs_become_words_and_flags(act: Act, graph: ScriptGraph) -> None:
    ran = act(
        partitions="number/a\n  number/'b",
        flags="--keep_going '--build_request_id=one'",
        bazel_flags="--config=ci",
        event_log="sqlite:other.db",
        artifact="event-log",
    )

    assert ran.codes == {"build": 0}, ran.printed
    arguments = (graph.folder / "bazel_arguments").read_text().splitlines()
    assert arguments[:7] == ["run", "--config=ci", LABEL, "--", "build", "--keep_going", "--build_request_id=one"]
    assert arguments[-4:] == ["--event_log=sqlite:other.db", "--", "number/a", "number/'b"]
    assert (graph.folder / "other.db").exists()


def test_failures_and_their_logs_become_annotations(act: Act) -> None:
    ran = act(partitions="sum/ab_fail-x", flags="--keep_going", artifact="event-log")

    assert ran.codes == {"build": 1}
    assert (ran.outputs["status"], ran.outputs["exit-code"], ran.outputs["jobs-failed"]) == ("FAILED", "1", "1")
    [(title, message)] = ran.annotations("error")
    assert title == "//numbers:number failed"
    assert message.startswith("number/fail-x: USER: ended with exit code 7\n")
    assert message.endswith("\ncannot make fail-x")
    # The artifact is kept although the build failed.
    path = Path(ran.used["Keep the report"]["path"])
    events = [json.loads(line) for line in (path / "events.jsonl").read_text().splitlines()]
    assert {event["build_request_id"] for event in events} == {ran.outputs["build-id"]}
    assert "❌" in ran.summary


def test_annotations_beyond_those_that_are_shown_are_counted(act: Act) -> None:
    ran = act(partitions=" ".join(f"number/fail-{n}" for n in range(MAX_ANNOTATIONS + 3)), flags="--keep_going")

    errors = ran.annotations("error")
    assert len(errors) == MAX_ANNOTATIONS
    assert errors[-1] == ("DataBuild", "4 more tasks failed; the summary lists them")


def test_programs_cannot_give_commands_to_the_runner_or_read_the_inputs(act: Act, graph: ScriptGraph) -> None:
    ran = act("pull_request", build="true")

    assert ran.codes == {"plan": 0, "build": 0}
    assert ran.printed.count("::add-mask::of a job") == 2
    assert {command.name for command in ran.commands} == set()
    environment = (graph.folder / "bazel_environment").read_text()
    assert "GITHUB_REPOSITORY=acme/data" in environment
    assert "GITHUB_OUTPUT" not in environment
    assert "DATABUILD_ACTION" not in environment
    assert "the-token" not in environment


@pytest.mark.parametrize(
    ("inputs", "code", "said"),
    [
        ({"partitions": "nothing/like/this"}, 2, "no build was recorded; exit code 2, see the log of this step"),
        ({"flags": "'open"}, 2, "No closing quotation"),
    ],
)
def test_a_request_that_is_refused_has_no_outputs(act: Act, inputs: dict[str, str], code: int, said: str) -> None:
    ran = act(**inputs)

    assert ran.codes == {"build": code}
    assert ran.annotations("error") == [("DataBuild", said)]
    assert NONE.items() <= ran.outputs.items()
    assert ran.summary == ""


def test_a_pull_request_gets_a_comment_that_is_updated_and_no_build(
    act: Act, graph: ScriptGraph, host: CodeHost
) -> None:
    graph("build")
    (graph.folder / "number.digest").write_text("number-2\n")
    ran = act("pull_request", partitions="sum/a_bb sum/a_ccc")

    assert ran.codes == {"plan": 0}
    assert len(graph.json("builds")[1]["builds"]) == 1
    assert (ran.outputs["stale-partitions"], ran.outputs["stale-jobs"]) == ("3", "2")
    [comment] = host.comments
    assert comment["body"] == ran.summary
    assert comment["body"].splitlines() == [
        "<!-- databuild plan of //numbers:graph -->",
        "### DataBuild: this change makes 3 partitions stale",
        "",
        "Graph //numbers:graph: a build of 2 requested partitions would run 5 tasks.",
        "",
        "| Job | Stale | Not built yet | Why stale |",
        "|---|--:|--:|---|",
        "| //numbers:number | 2 | 1 | 2 code changed |",
        "| //numbers:sum | 1 | 1 | 1 input changed |",
        "| **Total** | **3** | **2** | |",
    ]

    act("pull_request", partitions="sum/a_bb sum/a_ccc")
    assert host.requests[-1].startswith("GET ")
    (graph.folder / "number.digest").write_text("number-1\n")
    act("pull_request")
    assert host.requests[-1] == "PATCH /repos/acme/data/issues/comments/100"
    assert len(host.comments) == 1
    assert "this change makes no partition stale" in comment["body"]


@pytest.mark.parametrize("user", ["", "ann"])
def test_only_the_comment_of_its_own_about_the_graph_is_updated(act: Act, host: CodeHost, user: str) -> None:
    host.user = user
    own, other = user or "acme-app[bot]", "mallory"
    for number in range(130):
        host.add(other, f"hello {number}")
    host.add(other, "<!-- databuild plan of //numbers:graph -->")
    host.add(own, "<!-- databuild plan of //other:graph -->")
    host.add(own, "<!-- databuild plan of //numbers:graph -->\nold")
    before = [comment["body"] for comment in host.comments[:-1]]
    act("pull_request")

    assert [comment["body"] for comment in host.comments[:-1]] == before
    assert "2 requested" not in host.comments[-1]["body"]
    assert "1 requested partition" in host.comments[-1]["body"]


def test_a_comment_that_may_not_be_written_is_a_warning(act: Act, host: CodeHost) -> None:
    host.refused = 403
    ran = act("pull_request")

    assert ran.codes == {"plan": 0}
    [(_, message)] = ran.annotations("warning")
    assert message.startswith("the comment could not be written: POST /repos/acme/data/issues/7/comments: status 403")
    assert "makes no partition stale" in ran.summary


def test_an_api_that_is_away_is_a_warning(act: Act, host: CodeHost) -> None:
    host.close()
    ran = act("pull_request")

    assert ran.codes == {"plan": 0}
    [(_, message)] = ran.annotations("warning")
    assert "Connection refused" in message


def test_a_plan_that_fails_is_an_error(act: Act, host: CodeHost) -> None:
    ran = act("pull_request", partitions="nothing/like/this")

    assert ran.codes == {"plan": 2}
    assert ran.annotations("error") == [("DataBuild", "no plan could be made; exit code 2, see the log of this step")]
    assert host.requests == []


def test_steps_can_be_turned_off(act: Act, host: CodeHost) -> None:
    assert act("pull_request", comment="false").codes == {}
    ran = act("push", artifact="none")
    assert (ran.codes, ran.used) == ({"build": 0}, {})
    assert host.requests == []


def test_a_long_summary_is_cut_at_a_line(tmp_path: Path) -> None:
    file = tmp_path / "summary"
    step = Step({"GITHUB_STEP_SUMMARY": str(file)})
    line = "| ü |\n"
    step.add_summary(line * (MAX_SUMMARY_BYTES // len(line.encode()) - 10))
    size = file.stat().st_size
    step.add_summary(line * 100)
    text = file.read_text()

    assert size < file.stat().st_size <= MAX_SUMMARY_BYTES
    assert text.endswith("| ü |\n\nThe rest is in the artifact of this run.\n")
    step.add_summary(line * 100)
    assert file.read_text() == text


def test_a_comment_of_a_deleted_account_or_without_text_is_left_alone(act: Act, host: CodeHost) -> None:
    for name in ("user", "body"):
        host.add("acme-app[bot]", "<!-- databuild plan of //numbers:graph -->")
        host.comments[-1][name] = None
    ran = act("pull_request")

    assert (ran.codes, ran.annotations("warning")) == ({"plan": 0}, [])
    assert len(host.comments) == 3


def test_a_long_annotation_has_the_beginning_and_the_end_of_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    Step({}).annotate("error", "t" * 1000, f"number/x: USER: failed\n{'%' * 10_000}\nthe last line")

    [command] = commands_in(capsys.readouterr().out)
    assert (len(command.title), len(command.message)) == (MAX_TITLE, MAX_MESSAGE)
    assert command.message.startswith("number/x: USER: failed\n%")
    assert command.message.endswith("%\nthe last line")


def test_annotations_are_utf_8_in_any_locale() -> None:
    program = "from integrations.github.workflow import Step; Step({}).annotate('error', 'ü', '\\ud800 ✓')"
    command = child.command("-c", program)
    ended = subprocess.run(command, env={"PYTHONIOENCODING": "ascii"}, capture_output=True, check=True)

    assert ended.stdout.decode() == "::error title=ü::? ✓\n"


@pytest.mark.parametrize(
    ("title", "message", "printed"),
    [
        ("a: b, c", "1%\r\n2", "::error title=a%3A b%2C c::1%25%0D%0A2\n"),
        ("::x::\n", "::stop-commands::y", "::error title=%3A%3Ax%3A%3A%0A::::stop-commands::y\n"),
    ],
)
def test_annotations_are_escaped(capsys: pytest.CaptureFixture[str], title: str, message: str, printed: str) -> None:
    Step({}).annotate("error", title, message)

    assert capsys.readouterr().out == printed
