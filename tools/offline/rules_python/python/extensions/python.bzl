"""The module extension `python`: accepts the tags of rules_python, and always provides the system Python."""

_toolchain = tag_class(
    doc = "A Python version that the module supports. The system Python is always used; its version selects `pip.parse` tags.",
    attrs = {
        "configure_coverage_tool": attr.bool(),
        "ignore_root_user_error": attr.bool(),
        "is_default": attr.bool(),
        "python_version": attr.string(mandatory = True),
    },
)

_defaults = tag_class(
    doc = "Default Python version of the module.",
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
