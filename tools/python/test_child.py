"""Tests of the command of a child Python."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.python import child

PROGRAM = """
import json, os, sys
import only_here
name = sys.modules["__main__"].__dict__["__name__"]
print(json.dumps([only_here.VALUE, sys.argv[1:], name, os.environ.get("PYTHONPATH")]))
if __name__ == "__main__":
    sys.exit(7)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a module, on the import path of this process."""
    (tmp_path / "only_here.py").write_text("VALUE = 'found'\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return tmp_path


def run(*arguments: str, flags: tuple[str, ...] = (), **environment: str) -> subprocess.CompletedProcess[str]:
    command = child.command(*arguments, flags=flags)
    return subprocess.run(
        command, env={**os.environ, **environment}, cwd="/", capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("way", ["code", "file", "module"])
def test_a_child_has_the_import_path_of_its_parent_but_its_own_children_do_not(folder: Path, way: str) -> None:
    (folder / "program.py").write_text(PROGRAM)
    arguments = {"code": ["-c", PROGRAM], "file": [str(folder / "program.py")], "module": ["-m", "program"]}[way]

    done = run(*arguments, "one", "two words")

    assert json.loads(done.stdout) == ["found", ["one", "two words"], "__main__", None]
    assert (done.returncode, done.stderr) == (7, "")


def test_an_isolated_child_does_not_have_the_import_path(folder: Path) -> None:
    done = subprocess.run([sys.executable, "-I", "-c", "import only_here"], capture_output=True, text=True, check=False)

    assert "No module named 'only_here'" in done.stderr


def test_the_environment_is_left_alone(folder: Path) -> None:
    done = run("-c", "import os; print(os.environ['PYTHONPATH'])", PYTHONPATH="/theirs")

    assert done.stdout == "/theirs\n"


def test_the_folder_of_a_file_is_not_on_the_path(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "json.py").write_text("raise SystemExit('not this one')\n")
    (folder / "sub" / "main.py").write_text("import json\n")

    assert run(str(folder / "sub" / "main.py")).returncode == 0


def test_the_import_path_is_set_without_an_import(folder: Path) -> None:
    done = run("-c", "import sys; print(*sys.modules)", flags=("-S",))

    assert not {"runpy", "typing", "re", "os"} & set(done.stdout.split())


def test_an_object_of_main_can_be_unpickled(folder: Path) -> None:
    program = folder / "program.py"
    program.write_text(
        "import multiprocessing\n"
        "def double(number):\n    return 2 * number\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        print(pool.map(double, [21]))\n"
    )

    assert run(str(program)).stdout == "[42]\n"
