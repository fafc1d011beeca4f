"""Queries about jobs and the logs of job runs."""
