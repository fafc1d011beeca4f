"""Orchestration: one orchestrator drives a build from request to result, whoever asked for it."""
