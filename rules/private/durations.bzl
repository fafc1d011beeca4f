"""Durations as people write them: `90s`, `10m`, `1h30m`."""

visibility(["//rules/..."])

_SECONDS_OF_UNIT = {
    "d": 24 * 60 * 60,
    "h": 60 * 60,
    "m": 60,
    "s": 1,
}

def duration_seconds(label, attribute, text):
    """Reads a duration; fails, naming target and attribute, if it is none.

    Args:
        label: Whose attribute it is.
        attribute: The attribute's name.
        text: The text; a number of seconds without a unit is fine, and empty means 0.

    Returns:
        The seconds.
    """
    if text == "":
        return 0
    if text.isdigit():
        return int(text)
    seconds = 0
    digits = ""
    for character in text.elems():
        if character.isdigit():
            digits += character
        elif digits and character in _SECONDS_OF_UNIT:
            seconds += int(digits) * _SECONDS_OF_UNIT[character]
            digits = ""
        else:
            digits = "?"
            break
    if digits:
        fail("{} of {} is {}, which is no duration such as 90s, 10m or 1h30m".format(attribute, label, repr(text)))
    return seconds
