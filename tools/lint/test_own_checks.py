"""Tests of the project's own checks."""

from pathlib import Path

from tools.lint.own_checks import (
    bare_children,
    broken_links,
    flags_in_core,
    implicit_init_files,
    long_lines,
    odd_limits,
)

NAME = "sys" + ".executable"


def test_an_interpreter_without_an_import_path_is_reported() -> None:
    good = f'run({NAME}, "-I", \'x\')\nrun(\n    {NAME},\n    "-I",\n)\n'
    bad = f"import sys\nrun({NAME}, \"-m\", 'x')\n"

    assert list(bare_children([(Path("good.py"), good)])) == []

    (fault,) = bare_children([(Path("bad.py"), bad)])
    assert fault.startswith("bad.py:2: start it with tools.python.child.command")


def test_a_limit_without_max_or_min_is_reported() -> None:
    good = "MAX_ROWS = 1\n_MIN_SECONDS = 2.0\nUTMOST_CARE = 3\n"
    bad = "x = 1\n_MOST_ROWS = 1\n"

    assert list(odd_limits([(Path("good.py"), good)])) == []

    (fault,) = odd_limits([(Path("bad.py"), bad)])
    assert fault.startswith("bad.py:2: _MOST_ROWS is a limit; begin its name with MAX_ or MIN_")


def test_a_program_with_implicit_init_files_is_reported() -> None:
    good = 'py_test(\n    name = "good",\n    legacy_create_init = 0,\n)\n'
    doc = '    """\n    py_binary(\n        name = "doc",\n    )\n    """\n'
    bad = f'def x():\n{doc}    py_binary(\n        name = "bad",\n    )\n'

    assert list(implicit_init_files([(Path("BUILD.bazel"), good)])) == []
    assert list(implicit_init_files([(Path("x.bzl"), bad)])) == ['x.bzl: name = "bad", lacks `legacy_create_init = 0`']


def test_a_flag_in_a_message_of_the_core_is_reported() -> None:
    good = '"""Docs may name --force."""\nx = "a--b"\n'
    bad = 'def x():\n    raise ValueError(f"no {1}; --force would")\n'

    assert list(flags_in_core([(Path("databuild/graph/good.py"), good)])) == []
    assert list(flags_in_core([(Path("databuild/cli/edge.py"), bad)])) == []
    (fault,) = flags_in_core([(Path("databuild/graph/bad.py"), bad)])
    assert fault.startswith("databuild/graph/bad.py:2: --force is a flag")


def test_a_link_to_a_missing_file_or_heading_is_found() -> None:
    page = Path("docs/a.md")
    other = Path("docs/b.md")
    files = {page, other, Path("docs/images/x.svg")}
    good = (
        "# The `--server` flag\n## Twice\n## Twice\n[b](b.md), [i](images/x.svg), [f](images/), [web](https://x.org/#a)\n"
        "[top](#the---server-flag) [second](#twice-1) [b](b.md#what-it-is)\n`[code](none.md)`\n```\n[c](none.md)\n```\n"
    )
    target = "# What it is?\n"
    bad = "\n[gone](../gone.md) [anchor](b.md#gone)\n[own](#gone)\n"

    assert list(broken_links({page: good, other: target}, files)) == []
    assert list(broken_links({page: bad, other: target}, files)) == [
        "docs/a.md:2: ../gone.md leads to gone.md, which does not exist",
        "docs/a.md:2: b.md#gone names no heading of docs/b.md",
        "docs/a.md:3: #gone names no heading of docs/a.md",
    ]


def test_a_long_line_of_a_page_is_found() -> None:
    long = "x" * 121
    good = f"# A\n| {long} |\n```\n{long}\n```\n"
    generated = f"<!-- Generated from x -->\n{long}\n"

    assert list(long_lines({Path("a.md"): good, Path("b.md"): generated})) == []
    assert list(long_lines({Path("a.md"): f"y\n{long}\n"})) == ["a.md:2: the line has 121 characters; wrap it at 120"]
