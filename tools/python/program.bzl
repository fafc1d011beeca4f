"""A program of DataBuild's own, which consumers of the module build with theirs."""

load("@rules_python//python:py_binary.bzl", "py_binary")

visibility("//...")

# Has to be among the versions in MODULE.bazel.
_PYTHON_VERSION = "3.11"

def python_program(name, **kwargs):
    """Declares a `py_binary` that runs on DataBuild's Python, whatever the consumer's default is.

    The consumer's may be older than what DataBuild is written for, or newer than what its packages are locked for.

    Args:
        name: The target's name.
        **kwargs: Passed on to `py_binary`.
    """
    py_binary(
        name = name,
        # Files that nobody wrote are deprecated, and rules_python warns of them.
        legacy_create_init = 0,
        python_version = _PYTHON_VERSION,
        **kwargs
    )
