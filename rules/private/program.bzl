"""Programs that jobs and lookups name: executable targets, or files such as `x.sh`."""

load(":labels.bzl", "label_text")

visibility(["//rules/..."])

_AttributesInfo = provider(
    doc = "Attributes of an executable target that Bazel itself reads, and that no other provider has.",
    fields = {
        "args": "list of strings: the attribute's value.",
        "env": "dict of string to string: the attribute's value, expanded; empty where RunEnvironmentInfo has it.",
    },
)

# Rules of Bazel's own that may set `env` without RunEnvironmentInfo, which depends on Bazel's version.
_RULES_WITH_ENV = ["cc_binary", "java_binary", "py_binary", "sh_binary"]

def _attributes_aspect_impl(target, ctx):
    env = {}
    if ctx.rule.kind in _RULES_WITH_ENV and RunEnvironmentInfo not in target:
        for name, value in getattr(ctx.rule.attr, "env", {}).items():
            env[name] = ctx.expand_make_variables("env", ctx.expand_location(value, getattr(ctx.rule.attr, "data", [])), {})
    return [_AttributesInfo(args = getattr(ctx.rule.attr, "args", None) or [], env = env)]

_attributes_aspect = aspect(
    implementation = _attributes_aspect_impl,
    doc = "Reads the attributes of an executable target.",
    provides = [_AttributesInfo],
)

_ARGS_FAULT = ("{attribute} of {target} is {program}, which has args = {args}. Bazel passes them only with `bazel run` and " +
               "`bazel test`, so that no job run would get them. Write them into a program that starts {program}, have `config` " +
               "answer them, or remove them")

def program_attr(doc, mandatory = False):
    """An attribute that names a program.

    Args:
        doc: The attribute's documentation.
        mandatory: Whether it must be set.

    Returns:
        The attribute, for program_info.
    """
    return attr.label(
        allow_files = True,
        aspects = [_attributes_aspect],
        cfg = "target",
        doc = doc,
        executable = True,
        mandatory = mandatory,
    )

def program_info(ctx, attribute):
    """Reads the attribute of a program; fails, naming both targets, if the program has `args`.

    Args:
        ctx: The context of the rule.
        attribute: The attribute's name. It has a value, and was made with program_attr.

    Returns:
        A struct: `executable`, a File; `environment`, the variables that the program's `env` sets, by name;
        `runfiles`, with the executable.
    """
    target = getattr(ctx.attr, attribute)
    attributes = target[_AttributesInfo] if _AttributesInfo in target else _AttributesInfo(args = [], env = {})
    if attributes.args:
        fail(_ARGS_FAULT.format(
            args = attributes.args,
            attribute = attribute,
            program = label_text(target.label),
            target = label_text(ctx.label),
        ))
    executable = getattr(ctx.executable, attribute)
    runfiles = ctx.runfiles(files = [executable])
    if target[DefaultInfo].default_runfiles:
        runfiles = runfiles.merge(target[DefaultInfo].default_runfiles)
    return struct(
        environment = target[RunEnvironmentInfo].environment if RunEnvironmentInfo in target else attributes.env,
        executable = executable,
        label = target.label,
        runfiles = runfiles,
    )
