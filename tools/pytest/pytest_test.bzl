"""The macro `pytest_test`: pytest files as a test of Bazel."""

load("@rules_python//python:py_test.bzl", "py_test")

def pytest_test(name, srcs, args = [], data = [], deps = [], **kwargs):
    """Runs pytest on test files.

    Bazel gets the report of pytest with each test. `--test_filter=EXPRESSION` becomes `-k` of pytest. A file without tests fails.

    Args:
        name: Name of the target.
        srcs: Test files, and the conftest.py files that they need.
        args: Additional arguments of pytest.
        data: Files that the tests read or run.
        deps: Libraries that the tests import, except pytest and pytest-asyncio.
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
