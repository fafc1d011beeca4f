"""Installs a lock file and writes BUILD files: install_packages.py LOCK [PIP_ARGUMENT...].

Each distribution becomes a Bazel package with a py_library of its own files, in a separate import directory. Its deps
are the distributions that it requires on this interpreter. So a program can import only what it declares, and only that
is among its inputs. Runs in a virtual environment, because it uses its pip.
"""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.utils import canonicalize_name

STAGE = Path("stage")

# Characters that Bazel allows in labels, without the space and those that need quoting in a shell.
LABEL = re.compile(r"[A-Za-z0-9!%@^_#&'()*\-+,;<=>?\[\]{|}~/.]+")

BUILD = """\
load("@rules_python//python:py_library.bzl", "py_library")

package(default_visibility = ["//visibility:public"])

py_library(
    name = {name},
    srcs = {srcs},
    data = {data},
    imports = ["site-packages"],
    deps = {deps},
)

alias(
    name = "pkg",
    actual = {name},
)
"""

REQUIREMENTS_BZL = '''\
"""Labels of the packages, by their name in the lock."""

all_requirements = [str(Label(label)) for label in {all}]

def requirement(name):
    """Returns the label of a package, such as `grpcio-tools`."""
    return str(Label("//{{}}:pkg".format(name.lower().replace("-", "_").replace(".", "_"))))
'''


def main(lock: str, pip_arguments: list[str]) -> None:
    """Installs all packages into one directory, then moves each to its own."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--no-compile"]
    if code := subprocess.run([*pip, "--target", STAGE, "-r", lock, *pip_arguments], check=False).returncode:
        sys.exit(code)  # pip has printed the reason
    remove_scripts()

    distributions = {target_name(d.name): d for d in importlib.metadata.distributions(path=[os.fspath(STAGE)])}
    for name, deps in required(distributions).items():
        write_package(name, sorted(files_of(distributions[name])), sorted(deps))
    shutil.rmtree(STAGE)
    Path("BUILD.bazel").touch()
    Path("requirements.bzl").write_text(
        REQUIREMENTS_BZL.format(all=json.dumps([f"//{name}:pkg" for name in sorted(distributions)], indent=4))
    )


def remove_scripts() -> None:
    """Removes scripts of entry points, which contain the path of an interpreter. Use `python -m` instead."""
    scripts = {path.name for path in (STAGE / "bin").glob("*") if path.read_bytes().startswith(b"#!")}
    for name in scripts:
        (STAGE / "bin" / name).unlink()
    for record in STAGE.glob("*.dist-info/RECORD"):
        lines = record.read_text().splitlines(keepends=True)
        kept = [line for line in lines if line.split(",")[0].removeprefix("../../bin/") not in scripts]
        record.write_text("".join(kept))


def target_name(name: str) -> str:
    """Returns the target name of a distribution: `grpcio_tools` for `grpcio-tools`."""
    return canonicalize_name(name).replace("-", "_")


def files_of(distribution: importlib.metadata.Distribution) -> Iterable[Path]:
    """Yields the installed files of a distribution that can be labels, relative to the import directory."""
    for recorded in distribution.files or ():
        # pip --target installs files of bin/ into the target directory.
        path = Path(str(recorded).removeprefix("../../"))
        # A file named BUILD would make its directory a Bazel package.
        if (STAGE / path).is_file() and LABEL.fullmatch(os.fspath(path)) and path.name not in {"BUILD", "BUILD.bazel"}:
            yield path


def write_package(name: str, files: Iterable[Path], deps: Iterable[str]) -> None:
    """Writes the Bazel package of one distribution. A file of several distributions is copied to each."""
    package = Path(name)
    labels = [os.fspath("site-packages" / file) for file in files]
    for file, label in zip(files, labels, strict=True):
        (package / label).parent.mkdir(parents=True, exist_ok=True)
        os.link(STAGE / file, package / label)
    (package / "BUILD.bazel").write_text(
        BUILD.format(
            name=json.dumps(name),
            srcs=json.dumps([label for label in labels if label.endswith(".py")], indent=4),
            data=json.dumps([label for label in labels if not label.endswith(".py")], indent=4),
            deps=json.dumps([f"//{dep}" for dep in deps]),
        )
    )


def required(distributions: Mapping[str, importlib.metadata.Distribution]) -> dict[str, set[str]]:
    """Returns the requirements of each distribution, including those of requested extras, without cycles."""
    extras: dict[str, set[str]] = {name: {""} for name in distributions}
    requires: dict[str, set[str]] = {name: set() for name in distributions}
    changed = True
    while changed:
        changed = False
        for name, distribution in distributions.items():
            for text in distribution.requires or ():
                requirement = Requirement(text)
                applies = requirement.marker is None or any(
                    requirement.marker.evaluate({"extra": extra}) for extra in extras[name]
                )
                other = target_name(requirement.name)
                if not applies or other not in distributions:
                    continue
                requires[name].add(other)
                if not requirement.extras <= extras[other]:
                    extras[other] |= requirement.extras
                    changed = True
    return without_cycles(requires)


def without_cycles(requires: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Returns the requirements without those that close a cycle, which Bazel does not accept."""
    kept: dict[str, set[str]] = {}
    open_names: list[str] = []

    def visit(name: str) -> None:
        if name in kept:
            return
        kept[name] = set()
        open_names.append(name)
        for other in sorted(requires[name]):
            if other not in open_names:
                visit(other)
                kept[name].add(other)
        open_names.pop()

    for name in sorted(requires):
        visit(name)
    return kept


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
