"""Notifications of a graph."""

visibility(["//rules/..."])

# databuild/exporters/webhook/notifications.py has the same.
_OCCASIONS = ["end", "failure", "first_failure", "check", "wait"]

def check_notifications(label, notify, notify_on):
    """Fails if an address or an occasion of notifications is invalid.

    Args:
        label: Label of the graph, for messages.
        notify: Addresses.
        notify_on: Occasions.
    """
    for url in notify:
        if not url.startswith("http://") and not url.startswith("https://"):
            fail("notify of {} has {}; addresses begin with http:// or https://".format(label, repr(url)))
    for occasion in notify_on:
        if occasion not in _OCCASIONS:
            fail("notify_on of {} has {}; there is {}".format(label, repr(occasion), ", ".join(_OCCASIONS)))
    if notify_on and not notify:
        fail("{} has notify_on without notify".format(label))
