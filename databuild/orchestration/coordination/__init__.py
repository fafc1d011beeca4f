"""Coordination with other builds that share the event log: claims, leases, dead builds and late results."""
