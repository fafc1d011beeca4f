"""Builds: their requests, their queue, their execution and the streams of their events."""
