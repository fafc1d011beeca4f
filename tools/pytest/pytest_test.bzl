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
