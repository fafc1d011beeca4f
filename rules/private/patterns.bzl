"""What can be said of a partition pattern without running anything. The command line's `check` says the rest."""

visibility(["//rules/..."])

_FIELD_TYPES = ["date", "hour", "int", "month", "str"]
_LETTERS = "abcdefghijklmnopqrstuvwxyz_"

def _fail(label, pattern, fault):
    fail("output {} of {}: {}".format(repr(pattern), label, fault))

def _is_word(text):
    """Whether a text is a name: lower or upper case letters, digits and underscores, not beginning with a digit."""
    return text != "" and not text[0].isdigit() and all([c.isdigit() or c.lower() in _LETTERS for c in text.elems()])

def _parts(label, pattern):
    """The fixed texts of a pattern as strings, and its fields, with what is in their braces, as one-tuples."""
    parts = []
    part = ""
    in_field = False
    in_regex = False  # between slashes, where a brace is one of the regular expression
    escaped = False
    for character in pattern.elems():
        if in_regex:
            part += character
            in_regex = escaped or character != "/"
            escaped = character == "\\" and not escaped
        elif character == "{":
            if in_field:
                _fail(label, pattern, "a { without its }")
            parts.append(part)
            part = ""
            in_field = True
        elif character == "}":
            if not in_field:
                _fail(label, pattern, "a } without its {")
            parts.append((part,))
            part = ""
            in_field = False
        else:
            in_regex = in_field and character == "/" and part.endswith(":")
            part += character
    if in_field:
        _fail(label, pattern, "a { without its }")
    return parts + [part]

def _is_regex(field_type):
    return len(field_type) > 1 and field_type.startswith("/") and field_type.endswith("/")

def pattern_shape(label, pattern):
    """Reads a pattern.

    Fails, naming target and pattern, if the pattern cannot be read.

    Args:
        label: Whose pattern it is.
        pattern: The pattern.

    Returns:
        The pattern without the names of its fields: those of one shape match the same refs.
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
            _fail(label, pattern, "{} is no name for a field".format(repr(name)))
        if name in names:
            _fail(label, pattern, "two fields have the name {}".format(repr(name)))
        names[name] = True
        if part[0].endswith(":"):
            _fail(label, pattern, "the field {} has a colon, but no type".format(repr(name)))
        if field_type and field_type not in _FIELD_TYPES and not _is_regex(field_type):
            _fail(label, pattern, "unknown type {}; there are {} and /regex/".format(repr(field_type), ", ".join(_FIELD_TYPES)))
        shape += "{" + (field_type or "str") + "}"
    return shape
