"""Checks the linters that are written here."""

from tools.lint import lint

NAME = "sys" + ".executable"


def test_a_python_without_an_import_path_is_found(tmp_path, capsys):
    (tmp_path / "tools" / "offline").mkdir(parents=True)
    (tmp_path / "tools" / "offline" / "setup.py").write_text(f"[{NAME}, '-m', 'pip']\n")
    (tmp_path / "good.py").write_text(f'run({NAME}, "-I", \'x\')\nrun(\n    {NAME},\n    "-I",\n)\n')

    assert lint.children(tmp_path) == 0

    (tmp_path / "bad.py").write_text(f"import sys\nrun({NAME}, \"-m\", 'x')\n")

    assert lint.children(tmp_path) == 1
    assert capsys.readouterr().out.startswith("bad.py:2: start it by tools.python.child.command")


def test_a_program_that_wants_files_made_up_is_found(tmp_path, capsys):
    (tmp_path / "BUILD.bazel").write_text('py_test(\n    name = "good",\n    legacy_create_init = 0,\n)\n')

    assert lint.init_files(tmp_path) == 0

    (tmp_path / "x.bzl").write_text('def x():\n    py_binary(\n        name = "bad",\n    )\n')

    assert lint.init_files(tmp_path) == 1
    assert capsys.readouterr().out == 'x.bzl: name = "bad", lacks `legacy_create_init = 0`\n'
