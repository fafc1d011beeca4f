"""Tests of the project's own checks."""

from pathlib import Path

from tools.lint.own_checks import bare_children, flags_in_core, implicit_init_files, odd_limits

NAME = "sys" + ".executable"


def test_an_interpreter_without_an_import_path_is_reported():
    good = f'run({NAME}, "-I", \'x\')\nrun(\n    {NAME},\n    "-I",\n)\n'
    bad = f"import sys\nrun({NAME}, \"-m\", 'x')\n"

    assert list(bare_children([(Path("good.py"), good)])) == []

    (fault,) = bare_children([(Path("bad.py"), bad)])
    assert fault.startswith("bad.py:2: start it with tools.python.child.command")


def test_a_limit_without_max_or_min_is_reported():
    good = "MAX_ROWS = 1\n_MIN_SECONDS = 2.0\nUTMOST_CARE = 3\n"
    bad = "x = 1\n_MOST_ROWS = 1\n"

    assert list(odd_limits([(Path("good.py"), good)])) == []

    (fault,) = odd_limits([(Path("bad.py"), bad)])
    assert fault.startswith("bad.py:2: _MOST_ROWS is a limit; begin its name with MAX_ or MIN_")


def test_a_program_with_implicit_init_files_is_reported():
    good = 'py_test(\n    name = "good",\n    legacy_create_init = 0,\n)\n'
    doc = '    """\n    py_binary(\n        name = "doc",\n    )\n    """\n'
    bad = f'def x():\n{doc}    py_binary(\n        name = "bad",\n    )\n'

    assert list(implicit_init_files([(Path("BUILD.bazel"), good)])) == []
    assert list(implicit_init_files([(Path("x.bzl"), bad)])) == ['x.bzl: name = "bad", lacks `legacy_create_init = 0`']


def test_a_flag_in_a_message_of_the_core_is_reported():
    good = '"""Docs may name --force."""\nx = "a--b"\n'
    bad = 'def x():\n    raise ValueError(f"no {1}; --force would")\n'

    assert list(flags_in_core([(Path("databuild/graph/good.py"), good)])) == []
    assert list(flags_in_core([(Path("databuild/cli/edge.py"), bad)])) == []
    (fault,) = flags_in_core([(Path("databuild/graph/bad.py"), bad)])
    assert fault.startswith("databuild/graph/bad.py:2: --force is a flag")
