"""Tests written for pytest, run by Bazel."""

load("@rules_python//python:py_test.bzl", "py_test")

def pytest_test(name, srcs, args = [], data = [], deps = [], **kwargs):
    """Runs pytest on test files.

    Bazel gets pytest's own report of each test. `--test_filter=EXPRESSION` is pytest's `-k`, and a file in which no test is found
    fails.

    Args:
        name: The target's name.
        srcs: The test files. A conftest.py that they need belongs here, too.
        args: More arguments for pytest.
        data: What the tests read or run.
        deps: What they import, pytest and pytest-asyncio aside.
        **kwargs: Passed on to `py_test`.
    """
    test_files = [src for src in srcs if not src.endswith("conftest.py")]
    if not test_files:
        fail("pytest_test {} has no test file among its srcs {}".format(name, srcs))
    py_test(
        name = name,
        srcs = srcs + [Label("//tools/pytest:pytest_main.py")],
        main = Label("//tools/pytest:pytest_main.py"),
        args = ["$(rootpaths {})".format(src) for src in test_files] + args,
        data = data + [Label("//:pyproject.toml")],
        legacy_create_init = 0,
        deps = depset(deps + [
            "@databuild_dev_pypi//pytest",
            "@databuild_dev_pypi//pytest_asyncio",
        ]).to_list(),
        **kwargs
    )
