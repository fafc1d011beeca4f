"""The module extension of buildozer, with which `bazel mod tidy` edits MODULE.bazel. Bazel's built-in module expects its name.

The program comes from its npm package, or else from PATH.
"""

_VERSION = "8.2.1"
_INTEGRITY = "sha512-RstW3FJT4HOytPG2+z+qUUpZfklRJZqaw+UPKY9pur7zyGXOz8Jr73u4MiFotEThO/MZNRzKkOtJrWp3LO9eUA=="

def _from_npm(repository_ctx, npm):
    packed = repository_ctx.execute([npm, "pack", "--silent", "@bazel/buildozer@" + _VERSION])
    if packed.return_code != 0:
        fail("npm pack @bazel/buildozer@{} failed:\n{}".format(_VERSION, packed.stderr))
    archive = repository_ctx.path(packed.stdout.strip().split("\n")[-1])
    repository_ctx.download_and_extract("file://{}".format(archive), "package", integrity = _INTEGRITY, stripPrefix = "package")
    repository_ctx.delete(archive)
    arch = {"aarch64": "arm64", "x86_64": "amd64"}.get(repository_ctx.os.arch, repository_ctx.os.arch)
    return repository_ctx.path("package/buildozer-linux_" + arch)

def _buildozer_repository_impl(repository_ctx):
    repository_ctx.getenv("PATH")  # fetch again when PATH changes
    npm = repository_ctx.which("npm")
    program = _from_npm(repository_ctx, npm) if npm else repository_ctx.which("buildozer")
    if not program:
        fail("neither npm nor buildozer is on PATH. `bazel mod tidy` needs one of them (Debian: apt-get install npm).")
    repository_ctx.symlink(program, "buildozer.exe")
    repository_ctx.file("BUILD.bazel", 'exports_files(["buildozer.exe"])\n', executable = False)

_buildozer_repository = repository_rule(
    implementation = _buildozer_repository_impl,
    doc = "Provides buildozer from its npm package or from PATH.",
)

def _buildozer_binary_impl(_module_ctx):
    _buildozer_repository(name = "buildozer_binary")

buildozer_binary = module_extension(implementation = _buildozer_binary_impl)
