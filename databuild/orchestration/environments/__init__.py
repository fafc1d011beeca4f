"""Environments beside the base: comparison with the base, promotion into it, and removal."""
