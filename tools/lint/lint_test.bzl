"""A linter as a test."""

load("@rules_python//python:py_test.bzl", "py_test")

visibility(["//tools/lint"])

def lint_test(name, linter, args = [], data = [], deps = [], **kwargs):
    """Runs a linter of lint.py over the whole checkout.

    Args:
        name: The target's name.
        linter: The linter's name in lint.py.
        args: More arguments for it.
        data: What it runs.
        deps: Where it comes from.
        **kwargs: Passed on to `py_test`.
    """
    py_test(
        name = name,
        size = "small",
        srcs = ["lint.py"],
        main = "lint.py",
        args = [linter] + args,
        data = data + ["//:MODULE.bazel"],
        # It reads files that Bazel does not know of: the result is never reused, and no sandbox hides them.
        tags = ["external", "lint", "local"],
        legacy_create_init = 0,
        deps = deps + [
            ":own_checks",
            ":prose",
            "//tools/python:child",
        ],
        **kwargs
    )
