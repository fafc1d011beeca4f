"""The repository rule `pip_repository`: the packages of a lock file, one target each."""

load(":host_python.bzl", "venv_python")

def _pip_repository_impl(repository_ctx):
    if repository_ctx.attr.problem:
        fail(repository_ctx.attr.problem)

    repository_ctx.read(repository_ctx.attr._abi)
    python = venv_python(repository_ctx, repository_ctx.attr._host_pip)
    lock = repository_ctx.path(repository_ctx.attr.requirements_lock)
    repository_ctx.watch(lock)
    script = repository_ctx.path(repository_ctx.attr._install_packages)
    repository_ctx.watch(script)

    repository_ctx.report_progress("Installing the packages of {}".format(repository_ctx.attr.requirements_lock))
    result = repository_ctx.execute([python, script, lock] + repository_ctx.attr.extra_pip_args, timeout = 1800)
    if result.return_code != 0:
        fail("installing the packages of {} failed:\n{}{}".format(repository_ctx.attr.requirements_lock, result.stdout, result.stderr))

pip_repository = repository_rule(
    implementation = _pip_repository_impl,
    doc = "Installs a lock file with the system Python and the configuration of pip.",
    attrs = {
        "extra_pip_args": attr.string_list(doc = "Additional arguments of `pip install`."),
        "problem": attr.string(doc = "Error message if the packages cannot be installed. Using the repository fails with it; declaring it does not."),
        "requirements_lock": attr.label(doc = "Lock file: every package with its version and hashes.", allow_single_file = True),
        "_abi": attr.label(default = "@host_python//:abi.txt"),
        "_host_pip": attr.label(default = "@host_pip//:BUILD.bazel"),
        "_install_packages": attr.label(default = "//private:install_packages.py"),
    },
)
