"""Runs one linter over the whole checkout: lint.py LINTER [ARGUMENT...].

The sandbox of Bazel has only declared files, but a linter must also see files that no target declares. So the linters
read the checkout itself, which they find through the symbolic link to MODULE.bazel. The tests are tagged so that Bazel
does not cache their results.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Set
from pathlib import Path

from tools.lint import library_deps, own_checks, prose
from tools.python import child

# Directories with Python code. The workspaces of e2e are separate.
_CHECKED = ("benchmarks", "databuild", "docs", "examples", "integrations", "rules", "tests", "third_party", "tools")

# Directories of third-party and generated files.
_SKIPPED = {"node_modules", "__pycache__", "venv", "build", "dist"}


def _files(root: Path) -> Iterator[Path]:
    """Yields the relative path of every file of the checkout, except in hidden and generated directories."""
    for folder, names, files in os.walk(root):
        names[:] = [n for n in names if n == ".ci" or not (n in _SKIPPED or n.startswith(("bazel-", ".")))]
        for name in files:
            yield Path(folder, name).relative_to(root)


def _texts(root: Path, suffixes: Set[str]) -> Iterator[tuple[Path, str]]:
    """Yields files with their texts, except those of tools/offline, which replace third-party code."""
    for path in sorted(_files(root)):
        if path.suffix in suffixes and path.parts[:2] != ("tools", "offline"):
            yield path, (root / path).read_text()


def _complain(faults: Iterable[str]) -> int:
    """Prints faults, and returns the exit code."""
    code = 0
    for fault in faults:
        print(fault)
        code = 1
    return code


def _is_starlark(path: Path) -> bool:
    return path.suffix == ".bzl" or path.name in {"BUILD.bazel", "BUILD", "MODULE.bazel", "REPO.bazel", "WORKSPACE"}


def _is_shell(root: Path, path: Path) -> bool:
    if path.suffix:
        return path.suffix == ".sh"
    with (root / path).open("rb") as file:
        first_line = file.readline(80)
    return first_line.startswith(b"#!") and first_line.rstrip().endswith((b"/sh", b"bash"))


def _run(root: Path, *command: str | os.PathLike[str]) -> int:
    return subprocess.run(command, cwd=root, check=False).returncode


def _program_of(package: str) -> Path:
    """Returns the program of a package. Its bin/ is beside site-packages (rules_python) or in it (`pip --target`)."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(package)
    site_packages = Path(spec.origin).parents[1]
    candidates = [folder / "bin" / package for folder in (site_packages, site_packages.parent)]
    program = next((program for program in candidates if program.exists()), None)
    if program is None:
        raise FileNotFoundError(f"the package {package} has no program in any of {', '.join(map(str, candidates))}")
    return program


def _module(root: Path, *arguments: str) -> int:
    return _run(root, *child.command("-m", *arguments))


def _with_generated(root: Path, tree: Path) -> None:
    """Copies the packages and the stubs of generated modules, which only the runfiles have, into one tree."""
    for package in _CHECKED:
        shutil.copytree(root / package, tree / package, ignore=shutil.ignore_patterns("*_pb2*", "__pycache__"))
    for stub in Path("databuild").glob("**/*_pb2.pyi"):
        shutil.copy(stub, tree / stub)
    shutil.copy(root / "pyproject.toml", tree)


def ruff(root: Path) -> int:
    """Checks Python code and its format."""
    program = _program_of("ruff")
    return _run(root, program, "check") | _run(root, program, "format", "--check")


def mypy(root: Path) -> int:
    """Checks types."""
    with tempfile.TemporaryDirectory() as tree:
        _with_generated(root, Path(tree))
        return _module(Path(tree), "mypy", f"--cache-dir={root / '.mypy_cache'}")


def imports(root: Path) -> int:
    """Checks the import contracts."""
    with tempfile.TemporaryDirectory() as tree:
        _with_generated(root, Path(tree))
        # `-c` rather than `-m`, so that the package is found in the working directory first.
        program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
        return _run(Path(tree), *child.command("-c", program))


def children(root: Path) -> int:
    """Checks that Python is started with an explicit import path."""
    return _complain(own_checks.bare_children(_texts(root, {".py"})))


def limits(root: Path) -> int:
    """Checks that the names of limits begin with MAX_ or MIN_."""
    return _complain(own_checks.odd_limits(_texts(root, {".py"})))


def init_files(root: Path) -> int:
    """Checks that no program relies on implicit `__init__.py` files."""
    return _complain(own_checks.implicit_init_files(_texts(root, {".bzl", ".bazel"})))


def vulture(root: Path) -> int:
    """Finds code that only tests use. pyproject.toml lists the names whose use vulture cannot see."""
    return _module(root, "vulture")


def core_flags(root: Path) -> int:
    """Checks that only the command line names its flags in messages."""
    return _complain(own_checks.flags_in_core(_texts(root, {".py"})))


def wording(root: Path) -> int:
    """Checks the wording of docstrings, comments and pages."""
    return _complain(prose.odd_wording(_texts(root, {".bazel", ".bzl", ".md", ".proto", ".py", ".sh", ".sql"})))


def deps(root: Path) -> int:
    """Checks that the `deps` of libraries are what their modules import."""
    return _complain(library_deps.wrong_deps(library_deps.read_texts(root)))


def pages(root: Path) -> int:
    """Checks the links of Markdown pages, and the length of their lines."""
    texts = dict(_texts(root, {".md"}))
    files = set(_files(root))
    return _complain([*own_checks.broken_links(texts, files), *own_checks.long_lines(texts)])


def shellcheck(root: Path) -> int:
    """Checks shell scripts."""
    program = shutil.which("shellcheck")
    if program is None:
        print("shellcheck is not installed (Debian: apt-get install shellcheck)", file=sys.stderr)
        return 1
    return _run(root, program, "--external-sources", *sorted(p for p in _files(root) if _is_shell(root, p)))


def buildifier(root: Path, program: str) -> int:
    """Checks BUILD and .bzl files and their format."""
    files = sorted(p for p in _files(root) if _is_starlark(p))
    return _run(root, Path(program).absolute(), "-mode=diff", "-lint=warn", *files)


if __name__ == "__main__":
    checks = (
        ruff,
        mypy,
        imports,
        vulture,
        children,
        limits,
        init_files,
        core_flags,
        deps,
        pages,
        wording,
        shellcheck,
        buildifier,
    )
    _LINTERS = {f.__name__: f for f in checks}
    sys.exit(_LINTERS[sys.argv[1]](Path("MODULE.bazel").resolve().parent, *sys.argv[2:]))
