"""The toolchain: the system Python in an empty virtual environment.

The environment hides packages of the system, so that an undeclared dependency fails as with a hermetic Python. It
consists of a symbolic link and a file in the runfiles: Bazel tracks the content of the interpreter, and launchers contain
no paths of this machine.
"""

_DESCRIBE = """\
import os, sys, sysconfig
assert sys.version_info >= (3, 11), f"it is Python {sys.version.split()[0]}"
import ensurepip, venv
print(os.path.realpath(sys._base_executable))
print("%d.%d" % sys.version_info[:2])
print(sysconfig.get_config_var("SOABI"))
print(sys.implementation.cache_tag)
"""

_BUILD = """\
load("@bazel_tools//tools/python:toolchain.bzl", "py_runtime_pair")

exports_files(["abi.txt", "bin/python3", "pyvenv.cfg"])

py_runtime(
    name = "runtime",
    bootstrap_template = "{template}",
    files = [
        "pyvenv.cfg",
        "start.py",
    ],
    interpreter = "bin/python3",
    python_version = "PY3",
    stub_shebang = "#!/bin/sh",
    visibility = ["//visibility:public"],
)

py_runtime_pair(
    name = "runtime_pair",
    py3_runtime = ":runtime",
)

toolchain(
    name = "toolchain",
    toolchain = ":runtime_pair",
    toolchain_type = "@bazel_tools//tools/python:toolchain_type",
)
"""

_PYVENV_CFG = """\
home = {home}
include-system-site-packages = false
"""

def _describe(repository_ctx):
    """Returns path, version, ABI and bytecode tag of the first suitable Python on PATH."""
    rejected = []
    for candidate in ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "/usr/bin/python3"]:
        program = candidate if candidate.startswith("/") else repository_ctx.which(candidate)
        if program and repository_ctx.path(program).exists:
            described = repository_ctx.execute([program, "-I", "-c", _DESCRIBE])
            if described.return_code == 0:
                return described.stdout.strip().split("\n")
            rejected.append("{}: {}".format(program, described.stderr.strip().split("\n")[-1]))
    fail("no Python 3.11 or newer with venv and ensurepip (Debian: apt-get install python3-venv).", *rejected)

def _host_python_impl(repository_ctx):
    repository_ctx.getenv("PATH")  # fetch again when PATH changes
    interpreter, version, abi, cache_tag = _describe(repository_ctx)
    repository_ctx.symlink(interpreter, "bin/python3")
    repository_ctx.file("pyvenv.cfg", _PYVENV_CFG.format(home = repository_ctx.path(interpreter).dirname), executable = False)
    repository_ctx.file("abi.bzl", 'CACHE_TAG = "{}"\n'.format(cache_tag), executable = False)
    repository_ctx.file("abi.txt", version + " " + abi, executable = False)
    repository_ctx.symlink(repository_ctx.attr._start, "start.py")
    repository_ctx.file("BUILD.bazel", _BUILD.format(template = Label("//private:launcher.sh.tpl")), executable = False)

_host_python = repository_rule(
    implementation = _host_python_impl,
    attrs = {"_start": attr.label(default = "//private:start.py")},
    doc = "Finds python3 on PATH.",
    configure = True,
)

def _host_pip_impl(repository_ctx):
    # Both are watched: the environment contains the path of the interpreter.
    repository_ctx.read(repository_ctx.attr._abi)
    repository_ctx.read(repository_ctx.attr._pyvenv)
    interpreter = repository_ctx.path(repository_ctx.attr._abi).dirname.get_child("bin", "python3").realpath
    result = repository_ctx.execute([interpreter, "-I", "-m", "venv", "venv"], timeout = 600)
    if result.return_code != 0:
        fail("making a virtual environment with pip failed:\n{}{}".format(result.stdout, result.stderr))
    repository_ctx.file("BUILD.bazel", executable = False)

_host_pip = repository_rule(
    implementation = _host_pip_impl,
    attrs = {
        "_abi": attr.label(default = "@host_python//:abi.txt"),
        "_pyvenv": attr.label(default = "@host_python//:pyvenv.cfg"),
    },
    doc = "Makes a virtual environment with pip, which takes seconds, once for all repositories that install packages.",
)

def venv_python(repository_ctx, host_pip):
    """Returns the Python of the virtual environment with pip.

    Args:
        repository_ctx: The context of a repository rule.
        host_pip: The label of the BUILD file beside it, which does not change when the interpreter moves: others of the same version
            and ABI can use the installed packages.
    """
    return repository_ctx.path(host_pip).dirname.get_child("venv", "bin", "python")

def _host_python_extension_impl(_module_ctx):
    _host_python(name = "host_python")
    _host_pip(name = "host_pip")

host_python = module_extension(implementation = _host_python_extension_impl)
