"""The runfiles library of rules_python, from the package bazel-runfiles on PyPI, as the module `python.runfiles`."""

load(":host_python.bzl", "venv_python")

_REQUIREMENT = "bazel-runfiles==2.4.6 --hash=sha256:b8c53e37a954f3e1c7be2d705dfb0dbba8ee00db5bfb63cb3c81b987ea8bf930\n"

_BUILD = """\
load("@rules_python//python:py_library.bzl", "py_library")

py_library(
    name = "runfiles",
    srcs = [
        "python/runfiles/__init__.py",
        "python/runfiles/runfiles.py",
    ],
    imports = ["."],
    visibility = ["@rules_python//python/runfiles:__pkg__"],
)
"""

def _python_runfiles_impl(repository_ctx):
    repository_ctx.file("requirements.txt", _REQUIREMENT, executable = False)
    pip = [venv_python(repository_ctx, repository_ctx.attr._host_pip), "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]
    result = repository_ctx.execute(pip + ["--require-hashes", "--target=python", "--requirement=requirements.txt"], timeout = 600)
    if result.return_code != 0:
        fail("installing bazel-runfiles failed:\n{}{}".format(result.stdout, result.stderr))
    repository_ctx.file("BUILD.bazel", _BUILD, executable = False)

_python_runfiles = repository_rule(
    implementation = _python_runfiles_impl,
    attrs = {"_host_pip": attr.label(default = "@host_pip//:BUILD.bazel")},
    doc = "Installs bazel-runfiles from PyPI as the module `python.runfiles`.",
)

def _python_runfiles_extension_impl(_module_ctx):
    _python_runfiles(name = "python_runfiles")

python_runfiles = module_extension(implementation = _python_runfiles_extension_impl)
