"""Programs of jobs and lookups: executable targets, or executable files such as `x.sh`."""

load(":labels.bzl", "label_text")

visibility(["//rules/..."])

_AttributesInfo = provider(
    doc = "Attributes of an executable target that no standard provider has.",
    fields = {
        "args": "list of strings: value of the attribute.",
        "env": "dict of string to string: value of the attribute, expanded; empty if the target has RunEnvironmentInfo.",
    },
)

# Native rules with `env`. Only some versions of Bazel give them RunEnvironmentInfo.
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
               "`bazel test`, so job runs would not get them. Declare them as `args` of the job, return them from " +
               "`config`, or remove them")

def program_attr(doc, mandatory = False):
    """Returns an attribute for a program, to be read by program_info.

    Args:
        doc: Documentation of the attribute.
        mandatory: True if it must be set.

    Returns:
        The attribute.
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
    """Reads the attribute of a program. Fails if the program has `args`.

    Args:
        ctx: Context of the rule.
        attribute: Name of an attribute from program_attr that is set.

    Returns:
        A struct with `executable` (a File), `environment` (the variables of `env`, by name), `label` and `runfiles`, which
        include the executable.
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
