"""Checks of partition patterns at analysis time. The command `check` makes the others."""

visibility(["//rules/..."])

_FIELD_TYPES = ["date", "hour", "int", "minute", "month", "quarter", "str", "week", "year"]
_LETTERS = "abcdefghijklmnopqrstuvwxyz_"

def _fail(label, pattern, fault):
    fail("output {} of {}: {}".format(repr(pattern), label, fault))

def _is_word(text):
    """Returns true for letters, digits and underscores that do not start with a digit."""
    return text != "" and not text[0].isdigit() and all([c.isdigit() or c.lower() in _LETTERS for c in text.elems()])

def _parts(label, pattern):
    """Returns the parts of a pattern: fixed texts as strings, the contents of braces as one-tuples."""
    parts = []
    part = ""
    in_field = False
    in_regex = False  # between slashes, where braces belong to the regular expression
    escaped = False
    for character in pattern.elems():
        if in_regex:
            part += character
            in_regex = escaped or character != "/"
            escaped = character == "\\" and not escaped
        elif character == "{":
            if in_field:
                _fail(label, pattern, "'{' without a matching '}'")
            parts.append(part)
            part = ""
            in_field = True
        elif character == "}":
            if not in_field:
                _fail(label, pattern, "'}' without a matching '{'")
            parts.append((part,))
            part = ""
            in_field = False
        else:
            in_regex = in_field and character == "/" and part.endswith(":")
            part += character
    if in_field:
        _fail(label, pattern, "'{' without a matching '}'")
    return parts + [part]

def _is_regex(field_type):
    return len(field_type) > 1 and field_type.startswith("/") and field_type.endswith("/")

def pattern_shape(label, pattern):
    """Parses a partition pattern. Fails if it is invalid.

    Args:
        label: Label of the target, for the message.
        pattern: Partition pattern.

    Returns:
        The pattern without the names of its fields. Patterns of the same shape match the same refs.
    """
    if not pattern:
        _fail(label, pattern, "it is empty")
    names = {}
    shape = ""
    for part in _parts(label, pattern):
        if type(part) == "string":
            shape += part
            continue
        name, _, field_type = part[0].partition(":")
        if not _is_word(name):
            _fail(label, pattern, "{} is not a valid name for a field".format(repr(name)))
        if name in names:
            _fail(label, pattern, "two fields are named {}".format(repr(name)))
        names[name] = True
        if part[0].endswith(":"):
            _fail(label, pattern, "the field {} has a colon but no type".format(repr(name)))
        if field_type and field_type not in _FIELD_TYPES and not _is_regex(field_type):
            _fail(label, pattern, "unknown type {}; use {} or /regex/".format(repr(field_type), ", ".join(_FIELD_TYPES)))
        shape += "{" + (field_type or "str") + "}"
    return shape

def pattern_fields(label, pattern):
    """Parses a partition pattern.

    Args:
        label: Label of the target, for the message.
        pattern: Partition pattern that pattern_shape accepts.

    Returns:
        The type of each field, by name.
    """
    fields = {}
    for part in _parts(label, pattern):
        if type(part) != "string":
            name, _, field_type = part[0].partition(":")
            fields[name] = field_type or "str"
    return fields
