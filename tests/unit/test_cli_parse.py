"""Command lines are parsed as users expect, and both parsers agree."""

from __future__ import annotations

import pytest

from databuild.cli.flags.command_table import COMMANDS
from databuild.cli.flags.flag_table import BOOL, FLAGS, flags_of
from databuild.cli.flags.full_parse import parse
from databuild.cli.flags.near_form import near_command
from databuild.cli.flags.quick_parse import parse_quickly
from databuild.cli.flags.usage_error import UsageError


def test_build_is_the_default_command() -> None:
    command, flags, positionals = parse(["daily/1", "--jobs=3", "daily/2"])

    assert command == "build"
    assert flags["jobs"] == 3
    assert positionals == ["daily/1", "daily/2"]


def test_nothing_at_all_builds() -> None:
    assert parse([])[0] == "build"


@pytest.mark.parametrize("spelling", ["--keep_going", "--keep-going", "-k", "--keep-going=true"])
def test_dashes_and_underscores_are_alike(spelling: str) -> None:
    assert parse(["build", spelling])[1]["keep_going"] is True


def test_a_value_may_stand_apart_from_its_flag() -> None:
    command, flags, positionals = parse(["-j", "4", "retry", "--grace_period", "2", "latest"])

    assert (command, positionals) == ("retry", ["latest"])
    assert (flags["jobs"], flags["grace_period"]) == (4, 2.0)


def test_a_number_may_follow_its_letter() -> None:
    assert parse(["build", "-j12", "p"])[1:] == (parse(["build", "--jobs=12", "p"])[1], ["p"])


def test_a_flag_may_stand_before_the_command() -> None:
    command, flags, positionals = parse(["--state_dir", "/s", "status", "latest"])

    assert command == "status"
    assert flags["state_dir"] == "/s"
    assert positionals == ["latest"]


def test_after_two_dashes_everything_is_a_partition() -> None:
    assert parse(["build", "--", "--odd"])[2] == ["--odd"]


def test_dashes_in_values_are_kept() -> None:
    assert parse(["build", "--build-request-id=a-b"])[1]["build_request_id"] == "a-b"


def test_a_sink_may_be_repeated() -> None:
    _, flags, _ = parse(["build", "--event_sink=stdout:", "--event_sink=jsonl:x"])

    assert flags["event_sink"] == ["stdout:", "jsonl:x"]


def test_validate_is_plan() -> None:
    assert parse(["validate"])[0] == "plan"


def test_the_output_of_plan_may_be_a_file() -> None:
    assert parse(["plan", "--output=week.plan"])[1]["output"] == "week.plan"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["build", "--jbos=3"], "did you mean --jobs?"),
        (["status", "--jobs=3"], "--jobs is a flag of build, retry, serve, not of status"),
        (["builds", "--limit=many"], "--limit takes a whole number, 1 or more, not 'many'"),
        (["build", "--jobs=0"], "--jobs takes a whole number, 1 or more, not '0'"),
        (["events", "--after=-1"], "--after takes a whole number, 0 or more, not '-1'"),
        (["build", "--grace_period=soon"], "--grace_period takes a number, 0 or more, not 'soon'"),
        (["build", "--grace_period=nan"], "--grace_period takes a number of seconds, not nan"),
        (["build", "--grace_period=inf"], "--grace_period takes a number of seconds, not inf"),
        (["build", "--stale=maybe"], "--stale takes rebuild or reuse, not 'maybe'"),
        (["status", "--output=xml"], "--output takes text or json, not 'xml'"),
        (["build", "--keep_going=5"], "--keep_going takes no value, `true` or `false`, not '5'"),
        (["build", "--jobs"], "--jobs needs a value"),
        (["build", "-j"], "-j needs a value"),
        (["build", "--nojobs"], "--jobs takes a value, so there is no --nojobs"),
        (["build", "--jobs=2147483648"], "--jobs takes at most 2147483647, not '2147483648'"),
        (["builds", "--limit=" + "9" * 5000], "--limit takes at most 2147483647, not '9999"),
        (["serve", "--port=65536"], "--port takes at most 65535, not '65536'"),
        (["serve", "--grpc_port", "70000"], "--grpc_port takes at most 65535, not '70000'"),
        (["events", "--after=9223372036854775808"], "--after takes at most 9223372036854775807"),
        (["build", "-x"], "build has no flag -x"),
        (["build", "-jx"], "build has no flag -jx"),
        (["build", "-k2"], "build has no flag -k2"),
        (["plan", "-j2"], "-j is a flag of build, retry, serve, not of plan"),
        (["plan", "--nokeep_going"], "--nokeep_going is a flag of build, retry, not of plan"),
        (["serve", "--flagfile=none"], "the file of --flagfile cannot be read: No such file or directory: 'none'"),
    ],
)
def test_arguments_that_cannot_be_parsed_are_named(args: list[str], said: str) -> None:
    with pytest.raises(UsageError, match="see `help") as caught:
        parse(args)

    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("args", "asked"),
    [(["--help"], []), (["-h"], []), (["plan", "--help"], ["plan"]), (["--help", "plan"], ["plan"]), (["help"], [])],
)
def test_help_may_be_asked_for_in_any_form(args: list[str], asked: list[str]) -> None:
    command, _, positionals = parse(args)

    assert (command, positionals) == ("help", asked)


@pytest.mark.parametrize(
    "args",
    [
        ["status"],
        ["status", "latest", "--output=json"],
        ["--state_dir=/s", "builds", "--status=FAILED", "--limit=5"],
        ["partitions", "daily/", "--after=daily/3"],
        ["logs", "--follow"],
        ["build"],
        ["daily/1"],
        ["events"],
        ["build", "a/1", "b/1", "--jobs=2", "--event_sink=stdout:", "--event_sink=jsonl:events"],
        ["a/1", "--keep_going", "build"],
        ["validate", "--force", "a/1"],
    ],
)
def test_the_quick_parser_reads_what_the_full_one_reads(args: list[str]) -> None:
    assert parse_quickly(args) == parse(args)


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["--jobs=2"],
        ["build", "--grace_period=3"],
        ["status", "--state-dir=/s"],
        ["status", "--state_dir", "/s"],
        ["status", "--output=xml"],
        ["builds", "--limit=-1"],
        ["builds", "--limit=2147483648"],
        ["builds", "--limit=" + "9" * 5000],
        ["builds", "--limit=0"],
        ["logs", "-f"],
        ["logs", "--follow=true"],
        ["status", "--help"],
        ["status", "--"],
        ["status", "--jobs=1"],
        ["serve", "--flagfile=serve.flags"],
    ],
)
def test_the_quick_parser_leaves_everything_else_to_the_full_one(args: list[str]) -> None:
    assert parse_quickly(args) is None


def test_every_flag_belongs_to_commands_that_exist() -> None:
    names = {command.name for command in COMMANDS}

    assert {command for flag in FLAGS for command in flag.commands} <= names


def test_no_command_has_a_flag_twice() -> None:
    for command in COMMANDS:
        names = [flag.name for flag in flags_of(command.name)]
        assert len(names) == len(set(names))


def test_a_flag_takes_a_value_for_all_its_commands_or_for_none() -> None:
    kinds: dict[str, set[bool]] = {}
    for flag in FLAGS:
        kinds.setdefault(flag.name, set()).add(flag.kind == BOOL)

    assert all(len(kind) == 1 for kind in kinds.values())


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("stauts", "did you mean `status`?"),
        ("biulds", "did you mean `builds`?"),
        ("retyr", "did you mean `retry`?"),
        ("daily/1", ""),
        ("zzz", ""),
        ("PLAN", "did you mean `plan`?"),
        ("forget", "did you mean `partitions forget`?"),
        ("promot", "did you mean `environments promote`?"),
        ("diff", "did you mean `events diff` or `environments diff`?"),
    ],
)
def test_a_word_that_is_no_command_has_a_hint_at_the_nearest_one(text: str, hint: str) -> None:
    assert near_command(text) == hint


def test_an_unknown_flag_of_a_word_that_is_no_command_is_answered_with_the_nearest_command() -> None:
    with pytest.raises(UsageError, match=r"there is no command 'forget'; did you mean `partitions forget`\?"):
        parse(["forget", "a/1", "--reason=old"])
    with pytest.raises(UsageError, match="--reason is a flag of"):
        parse(["a/1", "--reason=old"])
