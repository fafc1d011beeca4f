"""Orchestration: one orchestrator drives a build from request to result, for every front end."""
