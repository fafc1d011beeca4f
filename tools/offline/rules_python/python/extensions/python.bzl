"""The module extension `python`: takes the usual tags, and gives everybody the machine's python3."""

_toolchain = tag_class(
    doc = "A Python that the module supports. The machine's is the one in use; its version picks among `pip.parse` tags.",
    attrs = {
        "configure_coverage_tool": attr.bool(),
        "ignore_root_user_error": attr.bool(),
        "is_default": attr.bool(),
        "python_version": attr.string(mandatory = True),
    },
)

_defaults = tag_class(
    doc = "The Python that the module prefers.",
    attrs = {
        "python_version": attr.string(),
        "python_version_env": attr.string(),
        "python_version_file": attr.label(),
    },
)

def _python_impl(_module_ctx):
    pass

python = module_extension(
    implementation = _python_impl,
    tag_classes = {
        "defaults": _defaults,
        "toolchain": _toolchain,
    },
)
