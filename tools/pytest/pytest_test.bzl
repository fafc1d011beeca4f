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

def pytest_tests(name, srcs, **kwargs):
    """Makes one `pytest_test` of each file, named after it, and a test suite of all.

    Every test gets the conftest.py of the package, where there is one.

    Args:
        name: The name of the test suite.
        srcs: The test files.
        **kwargs: Passed on to each `pytest_test`.
    """
    conftest = native.glob(["conftest.py"], allow_empty = True)
    tests = [src.removesuffix(".py") for src in srcs]
    for test in tests:
        pytest_test(
            name = test,
            srcs = conftest + [test + ".py"],
            **kwargs
        )
    native.test_suite(
        name = name,
        tests = tests,
    )
