"""Builds that the service queues, runs and watches."""
