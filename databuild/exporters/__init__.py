"""Exporters: they send the durable events of an event log to other systems."""

from databuild.lazy_modules import load_on_first_use

# `http.client` and `urllib.parse` import these for headers and addresses that few requests have. They would take a
# third of the time of both.
for _name in ("email.header", "ipaddress", "random"):
    load_on_first_use(_name)
