"""The runfiles library of rules_python, from the package bazel-runfiles on PyPI, as the module `python.runfiles`."""

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
    # The path of the interpreter is not watched: any interpreter can install the package.
    interpreter = repository_ctx.path(repository_ctx.attr._abi).dirname.get_child("bin", "python3").realpath
    repository_ctx.file("requirements.txt", _REQUIREMENT, executable = False)
    pip = ["venv/bin/python", "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--no-compile"]
    for command in [
        [interpreter, "-I", "-m", "venv", "venv"],
        pip + ["--target=python", "--requirement=requirements.txt"],
    ]:
        result = repository_ctx.execute(command, timeout = 600)
        if result.return_code != 0:
            fail("installing bazel-runfiles failed:\n{}{}".format(result.stdout, result.stderr))
    repository_ctx.delete("venv")
    repository_ctx.file("BUILD.bazel", _BUILD, executable = False)

_python_runfiles = repository_rule(
    implementation = _python_runfiles_impl,
    attrs = {"_abi": attr.label(default = "@host_python//:abi.txt")},
    doc = "Installs bazel-runfiles from PyPI as the module `python.runfiles`.",
)

def _python_runfiles_extension_impl(_module_ctx):
    _python_runfiles(name = "python_runfiles")

python_runfiles = module_extension(implementation = _python_runfiles_extension_impl)
