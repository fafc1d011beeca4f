"""Checks the comparison of deps with imports."""

from pathlib import PurePosixPath

from tools.lint.library_deps import wrong_deps

LIBRARY = 'py_library(\n    name = "{}",\n    srcs = {},\n    deps = {},\n)\n'


def files(deps: str) -> dict[PurePosixPath, str]:
    types = "if TYPE_CHECKING:\n    from databuild.c import only_types\n"
    texts = {
        "databuild/BUILD.bazel": LIBRARY.format("databuild", '["__init__.py"]', "[]"),
        "databuild/__init__.py": "",
        "databuild/a/BUILD.bazel": LIBRARY.format("a", 'glob(["**/*.py"])', deps),
        "databuild/a/__init__.py": "",
        "databuild/a/folder/early.py": types + "from databuild.b import two\n",
        "databuild/a/package/BUILD.bazel": LIBRARY.format("package", 'glob(["**/*.py"])', '["//databuild/c"]'),
        "databuild/a/package/late.py": "from databuild.c.only_types import X\n",
        "databuild/b/BUILD.bazel": LIBRARY.format("b", '["two.py"]', '["//databuild"]'),
        "databuild/b/two.py": "",
        "databuild/c/BUILD.bazel": LIBRARY.format("c", '["only_types.py"]', '["//databuild"]'),
        "databuild/c/only_types.py": "",
    }
    return {PurePosixPath(path): text for path, text in texts.items()}


def test_deps_that_match_the_imports_are_no_fault() -> None:
    assert list(wrong_deps(files('["//databuild", "//databuild/b", "@pypi//x"]'))) == []


def test_a_dep_that_an_import_needs_is_missed() -> None:
    (fault,) = wrong_deps(files("[]"))

    assert fault == (
        'databuild/a/BUILD.bazel: //databuild/a imports modules of //databuild/b; add "//databuild/b" to its deps'
    )


def test_a_dep_that_no_module_imports_is_refused() -> None:
    (fault,) = wrong_deps(files('["//databuild/b", "//databuild/c:c"]'))

    assert fault == (
        'databuild/a/BUILD.bazel: //databuild/a imports nothing of //databuild/c; take "//databuild/c" out of its deps'
    )
