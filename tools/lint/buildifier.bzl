"""A module extension with buildifier, the formatter of BUILD and .bzl files."""

_VERSION = "8.2.1"
_INTEGRITY = "sha512-eZ/Aq+2r4PcJa6LbPCT6ffgIJfTU/gYilqIzoX2OLM4nNkbQC6tTMPZNn7aHHjhGPxbNLv41zm4Xqt1olCLgXw=="

def _buildifier_impl(repository_ctx):
    repository_ctx.getenv("PATH")  # fetch again when PATH changes
    repository_ctx.file("BUILD.bazel", 'exports_files(["buildifier"])\n', executable = False)
    repository_ctx.watch("/usr/bin/npm")
    npm = repository_ctx.which("npm")
    if npm:
        packed = repository_ctx.execute([npm, "pack", "--silent", "@bazel/buildifier@" + _VERSION])
        if packed.return_code != 0:
            fail("npm pack @bazel/buildifier@{} failed:\n{}".format(_VERSION, packed.stderr))
        archive = repository_ctx.path(packed.stdout.strip().split("\n")[-1])
        repository_ctx.download_and_extract("file://{}".format(archive), "package", integrity = _INTEGRITY, stripPrefix = "package")
        repository_ctx.delete(archive)
        arch = {"aarch64": "arm64", "x86_64": "amd64"}.get(repository_ctx.os.arch, repository_ctx.os.arch)
        system = "darwin" if repository_ctx.os.name.startswith("mac") else "linux"
        repository_ctx.symlink("package/buildifier-{}_{}".format(system, arch), "buildifier")
    elif repository_ctx.which("buildifier"):
        repository_ctx.symlink(repository_ctx.which("buildifier"), "buildifier")
    found = repository_ctx.path("buildifier").exists
    repository_ctx.file("found.bzl", '"""FOUND is True if buildifier is available."""\n\nFOUND = {}\n'.format(found), executable = False)

_buildifier = repository_rule(
    implementation = _buildifier_impl,
    doc = "Provides buildifier from its npm package, or else from PATH. found.bzl tells if it is available.",
)

def _lint_tools_impl(module_ctx):
    _buildifier(name = "buildifier")
    return module_ctx.extension_metadata(
        root_module_direct_deps = [],
        root_module_direct_dev_deps = ["buildifier"],
        reproducible = True,
    )

lint_tools = module_extension(implementation = _lint_tools_impl)
