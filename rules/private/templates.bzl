"""Checks of templates at analysis time. Loading the job catalog makes the others, such as those of units and lists."""

load(":patterns.bzl", "pattern_fields")

visibility(["//rules/..."])

_LETTERS = "abcdefghijklmnopqrstuvwxyz_"

def _fail(label, attribute, template, fault):
    fail("{} of {}: {}: {}".format(attribute, label, repr(template), fault))

def _field_of(expression):
    """Returns the name with which an expression begins."""
    name = ""
    for character in expression.elems():
        if not (character.lower() in _LETTERS or (name and character.isdigit())):
            break
        name += character
    return name

def _expressions(label, attribute, template):
    """Returns the texts between braces; two braces stand for one."""
    found = []
    pieces = template.replace("{{", "").replace("}}", "") if "{{" in template or "}}" in template else template

    # `{{{date}}}` is a brace, an expression and a brace: of three braces, the pair that was replaced may be the wrong one.
    if pieces.count("{") != pieces.count("}"):
        _fail(label, attribute, template, "its braces do not match; two braces stand for one")
    for piece in pieces.split("{")[1:]:
        expression, closed, rest = piece.partition("}")
        if not closed or "}" in rest:
            _fail(label, attribute, template, "its braces do not match; two braces stand for one")
        found.append(expression)
    return found

def _check_template(label, attribute, template, fields):
    """Fails if braces do not match, or an expression is not over a field of `outputs`."""
    for expression in _expressions(label, attribute, template):
        name = _field_of(expression)
        if name not in fields:
            _fail(label, attribute, template, "{} is not over a field of `outputs`; the fields are: {}".format(
                repr("{" + expression + "}"),
                ", ".join(fields) or "none",
            ))

def check_declaration(label, outputs, declaration):
    """Checks the attributes of a declared job. Fails if one is not valid.

    Args:
        label: Label of the target, for the message.
        outputs: Partition patterns of the job.
        declaration: A struct with the attributes, as in DataBuildJobInfo.
    """
    if not outputs:
        fail("{} has no outputs; a job without `config` needs them, because its inputs and arguments are made from their fields".format(label))
    fields = pattern_fields(label, outputs[0])
    for output in outputs[1:]:
        if pattern_fields(label, output) != fields:
            fail("outputs {} and {} of {} have different fields; the outputs of a job without `config` have the same".format(
                repr(outputs[0]),
                repr(output),
                label,
            ))
    for attribute in ["inputs", "optional_inputs"]:
        for template in getattr(declaration, attribute):
            _check_template(label, attribute, template, fields)
    for template in declaration.query_inputs:
        _check_template(label, "query_inputs", template.removesuffix("{*}"), fields)
    for template in declaration.args:
        _check_template(label, "args", template, fields)
    for name, template in declaration.env.items():
        if not name or "=" in name:
            fail("env of {}: {} is not a valid name of an environment variable".format(label, repr(name)))
        _check_template(label, "env", template, fields)
    _check_template(label, "batch_by", declaration.batch_by, fields)
    for name, bounds in declaration.bounds.items():
        if name not in fields:
            fail("bounds of {}: {} is not a field of `outputs`; the fields are: {}".format(label, repr(name), ", ".join(fields) or "none"))
        if ".." not in bounds:
            fail("bounds of {}: {} is {}; write a first value, `..` and a last value, of which one may be left out".format(label, repr(name), repr(bounds)))
    if declaration.batch_size < 0:
        fail("batch_size of {} is {}, but must not be negative".format(label, declaration.batch_size))
