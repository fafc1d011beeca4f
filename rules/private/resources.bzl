"""Amounts of named resources."""

visibility(["//rules/..."])

def resource_counts(label, resources):
    """Parses amounts. Fails if one is not a positive integer.

    Args:
        label: Label of the target, for the message.
        resources: Amounts as text, by name.

    Returns:
        The amounts as integers, by name, sorted.
    """
    for name, count in resources.items():
        if not name:
            fail("{} has a resource with an empty name".format(label))
        if not count.isdigit() or int(count) == 0:
            fail("resource {} of {} is {}, which is not a positive integer".format(repr(name), label, repr(count)))
    return {name: int(resources[name]) for name in sorted(resources)}
