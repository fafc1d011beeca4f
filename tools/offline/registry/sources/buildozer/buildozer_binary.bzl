"""The module extension that Bazel's built-in module expects of buildozer, without a buildozer.

Only `bazel mod tidy` would use it.
"""

def _empty_repository_impl(repository_ctx):
    repository_ctx.file("BUILD.bazel")

_empty_repository = repository_rule(implementation = _empty_repository_impl)

def _buildozer_binary_impl(_module_ctx):
    _empty_repository(name = "buildozer_binary")

buildozer_binary = module_extension(implementation = _buildozer_binary_impl)
