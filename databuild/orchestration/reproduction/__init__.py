"""Reproduction of job runs: what the event log knows of one, and another run of it that changes no data."""
