"""Named resources and how much of them."""

visibility(["//rules/..."])

def resource_counts(label, resources):
    """Reads counts; fails, naming target and resource, if one is not a positive whole number.

    Args:
        label: Whose resources they are.
        resources: The counts as text, by name.

    Returns:
        The counts as numbers, by name, sorted.
    """
    for name, count in resources.items():
        if not name:
            fail("{} has a resource without a name".format(label))
        if not count.isdigit() or int(count) == 0:
            fail("resource {} of {} is {}, which is no positive whole number".format(repr(name), label, repr(count)))
    return {name: int(resources[name]) for name in sorted(resources)}
