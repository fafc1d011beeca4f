"""Durations such as `90s`, `10m` and `1h30m`."""

visibility(["//rules/..."])

_SECONDS_OF_UNIT = {
    "d": 24 * 60 * 60,
    "h": 60 * 60,
    "m": 60,
    "s": 1,
}

def duration_seconds(label, attribute, text):
    """Parses a duration. Fails if the text is not a duration.

    Args:
        label: Label of the target, for the message.
        attribute: Name of the attribute, for the message.
        text: Duration; a number without a unit is in seconds, and an empty text is 0.

    Returns:
        The duration in seconds.
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
        fail("{} of {} is {}, which is not a duration; use a form such as 90s, 10m or 1h30m".format(attribute, label, repr(text)))
    return seconds
