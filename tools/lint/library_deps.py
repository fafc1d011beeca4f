"""Compares the `deps` of each py_library of databuild/ with the imports of its modules.

Only labels of this repository are compared: an import does not tell the name of its package on PyPI. Imports for types
alone need no dependency. The checks read BUILD files as Python, which their plain calls are.
"""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple


class _Library(NamedTuple):
    label: str
    sources: tuple[str, ...]
    deps: frozenset[str]


def wrong_deps(texts: Mapping[PurePosixPath, str]) -> Iterator[str]:
    """Yields each first-party dependency that a library of databuild/ lacks, or has and does not import.

    Args:
        texts: The text of each BUILD and Python file under databuild/, by its path relative to the checkout.
    """
    libraries = [
        library
        for path, text in sorted(texts.items())
        if path.name == "BUILD.bazel"
        for library in _libraries(path, text, texts)
    ]
    owners = {source: library.label for library in libraries for source in library.sources}
    for library in libraries:
        imported = {
            owners[module]
            for source in library.sources
            for module in _imports(texts[PurePosixPath(source)], owners)
            if owners[module] != library.label
        }
        build_file = f"{library.label[2:].partition(':')[0]}/BUILD.bazel"
        parents = {
            f"//{parent}" for parent in PurePosixPath(build_file).parents
        }  # reached through any other dependency
        for label in sorted(imported - library.deps - parents):
            yield f'{build_file}: {library.label} imports modules of {label}; add "{label}" to its deps'
        for label in sorted(library.deps - imported - parents):
            if label in owners.values():
                yield f'{build_file}: {library.label} imports nothing of {label}; take "{label}" out of its deps'


def _libraries(path: PurePosixPath, text: str, texts: Mapping[PurePosixPath, str]) -> Iterator[_Library]:
    package = path.parent
    for node in ast.parse(text).body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            call = node.value
            if isinstance(call.func, ast.Name) and call.func.id == "py_library":
                attributes = {keyword.arg: keyword.value for keyword in call.keywords}
                sources = _sources(attributes["srcs"], package, texts)
                deps = ast.literal_eval(attributes["deps"]) if "deps" in attributes else []
                label = _label(package, f":{ast.literal_eval(attributes['name'])}")
                yield _Library(label, sources, frozenset(_label(package, dep) for dep in deps))


def _sources(srcs: ast.expr, package: PurePosixPath, texts: Mapping[PurePosixPath, str]) -> tuple[str, ...]:
    if isinstance(srcs, ast.Call):  # glob(["**/*.py"]): without packages below this one
        files = {file for file in texts if file.suffix == ".py" and package in file.parents}
        others = {file.parent for file in texts if file.name == "BUILD.bazel" and package in file.parent.parents}
        return tuple(str(file) for file in sorted(files) if others.isdisjoint(file.parents))
    return tuple(f"{package}/{name}" for name in ast.literal_eval(srcs) if package / name in texts)


def _label(package: PurePosixPath, label: str) -> str:
    """Returns a label in its shortest absolute form."""
    absolute = f"//{package}{label}" if label.startswith(":") else label
    folder, _, name = absolute.partition(":")
    return folder if name == folder.rsplit("/", 1)[-1] else absolute


def _imports(text: str, owners: Mapping[str, str]) -> Iterator[str]:
    """Yields the paths of modules that a module imports at run time, among those that libraries own."""
    pending: list[ast.AST] = [ast.parse(text)]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            pending += node.orelse
            continue
        pending += ast.iter_child_nodes(node)
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names] + [node.module]
        for name in names:
            path = name.replace(".", "/")
            yield from (file for file in (f"{path}.py", f"{path}/__init__.py") if file in owners)


def read_texts(root: Path) -> dict[PurePosixPath, str]:
    """Reads the files that `wrong_deps` needs from a checkout; generated modules are none of them."""
    files = [*(root / "databuild").rglob("BUILD.bazel"), *(root / "databuild").rglob("*.py")]
    return {
        PurePosixPath(file.relative_to(root).as_posix()): file.read_text() for file in files if "_pb2" not in file.name
    }
