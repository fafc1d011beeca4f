"""Sizes such as `512MB` and `2GiB`."""

visibility(["//rules/..."])

_BYTES_OF_UNIT = {
    "": 1,
    "B": 1,
    "GB": 1000 * 1000 * 1000,
    "GiB": 1024 * 1024 * 1024,
    "KB": 1000,
    "KiB": 1024,
    "MB": 1000 * 1000,
    "MiB": 1024 * 1024,
    "TB": 1000 * 1000 * 1000 * 1000,
    "TiB": 1024 * 1024 * 1024 * 1024,
}

def size_bytes(label, attribute, text):
    """Parses a size. Fails if the text is not a size.

    Args:
        label: Label of the target, for the message.
        attribute: Name of the attribute, for the message.
        text: Size; a number without a unit is in bytes, and an empty text is 0.

    Returns:
        The size in bytes.
    """
    if text == "":
        return 0
    digits = ""
    for character in text.elems():
        if not character.isdigit():
            break
        digits += character
    unit = text[len(digits):]
    if not digits or unit not in _BYTES_OF_UNIT:
        fail("{} of {} is {}, which is not a size; use a form such as 512MB or 2GiB".format(attribute, label, repr(text)))
    return int(digits) * _BYTES_OF_UNIT[unit]
