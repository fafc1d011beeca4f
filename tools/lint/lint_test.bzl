"""The macro `lint_test`: a linter as a test."""

load("@rules_python//python:py_test.bzl", "py_test")

visibility(["//tools/lint"])

def lint_test(name, args = [], data = [], deps = [], **kwargs):
    """Runs a linter of lint.py over the whole checkout.

    Args:
        name: Name of the target, and of the linter in lint.py.
        args: Additional arguments of the linter.
        data: Programs that it runs.
        deps: Packages that it imports.
        **kwargs: Passed on to `py_test`.
    """
    py_test(
        name = name,
        size = "small",
        srcs = ["lint.py"],
        main = "lint.py",
        args = [name] + args,
        data = data + ["//:MODULE.bazel"],
        # The linter reads undeclared files of the checkout: do not cache the result, and do not sandbox it.
        tags = ["external", "lint", "local"],
        legacy_create_init = 0,
        deps = deps + [
            ":own_checks",
            "//tools/python:child",
        ],
        **kwargs
    )
