"""Installs a lock file and writes BUILD files: install_packages.py LOCK [PIP_ARGUMENT...].

Each distribution becomes a package of Bazel with a py_library that has exactly its own files, in a folder of their own
to import from, and the distributions that it requires on this interpreter as deps. So a program's inputs, and what it
can import, are what it declares and nothing else of the lock. Runs in a virtual environment, for the sake of its pip.
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

# What Bazel allows in a label, without the space and what would need quoting in a shell.
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
    """The label of a package, such as `grpcio-tools`."""
    return str(Label("//{{}}:pkg".format(name.lower().replace("-", "_").replace(".", "_"))))
'''


def main(lock: str, pip_arguments: list[str]) -> None:
    """Installs everything into one folder, then shares it out."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--no-compile"]
    if code := subprocess.run([*pip, "--target", STAGE, "-r", lock, *pip_arguments], check=False).returncode:
        sys.exit(code)  # pip has said why
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
    """Removes the scripts of entry points, which hold the path of an interpreter; `python -m` starts the same."""
    scripts = {path.name for path in (STAGE / "bin").glob("*") if path.read_bytes().startswith(b"#!")}
    for name in scripts:
        (STAGE / "bin" / name).unlink()
    for record in STAGE.glob("*.dist-info/RECORD"):
        lines = record.read_text().splitlines(keepends=True)
        kept = [line for line in lines if line.split(",")[0].removeprefix("../../bin/") not in scripts]
        record.write_text("".join(kept))


def target_name(name: str) -> str:
    """The name of a distribution in Bazel: `grpcio_tools` of `grpcio-tools`."""
    return canonicalize_name(name).replace("-", "_")


def files_of(distribution: importlib.metadata.Distribution) -> Iterable[Path]:
    """Yields every installed file of a distribution that Bazel can have, as a path in the folder to import from."""
    for recorded in distribution.files or ():
        # pip --target moves what belongs to an environment's bin/ to one inside the target.
        path = Path(str(recorded).removeprefix("../../"))
        # A file called BUILD would make its folder a package of Bazel.
        if (STAGE / path).is_file() and LABEL.fullmatch(os.fspath(path)) and path.name not in {"BUILD", "BUILD.bazel"}:
            yield path


def write_package(name: str, files: Iterable[Path], deps: Iterable[str]) -> None:
    """Makes the folder of one distribution; a file that another distribution has as well goes to both."""
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
    """Returns what each distribution requires, with the extras that others ask of it, without cycles."""
    extras: dict[str, set[str]] = {name: {""} for name in distributions}
    requires: dict[str, set[str]] = {name: set() for name in distributions}
    unsettled = True
    while unsettled:
        unsettled = False
        for name, distribution in distributions.items():
            for text in distribution.requires or ():
                requirement = Requirement(text)
                wanted = requirement.marker is None or any(
                    requirement.marker.evaluate({"extra": extra}) for extra in extras[name]
                )
                other = target_name(requirement.name)
                if not wanted or other not in distributions:
                    continue
                requires[name].add(other)
                if not requirement.extras <= extras[other]:
                    extras[other] |= requirement.extras
                    unsettled = True
    return without_cycles(requires)


def without_cycles(requires: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Returns the requirements less those that close a cycle, which Bazel refuses."""
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
