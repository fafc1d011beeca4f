"""A module of the workspace."""
