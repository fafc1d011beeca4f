"""The macro `python_program`: a program of DataBuild that consumers of the module build as well."""

load("@rules_python//python:py_binary.bzl", "py_binary")

visibility("//...")

# One of the versions in MODULE.bazel.
_PYTHON_VERSION = "3.11"

def python_program(name, **kwargs):
    """Declares a `py_binary` with the Python version of DataBuild.

    The default version of a consumer can be too old for DataBuild, or too new for its locked packages.

    Args:
        name: Name of the target.
        **kwargs: Passed on to `py_binary`.
    """
    py_binary(
        name = name,
        # The default creates `__init__.py` files, which is deprecated.
        legacy_create_init = 0,
        python_version = _PYTHON_VERSION,
        **kwargs
    )
