"""Exporters: they send the durable events of an event log to other systems."""
