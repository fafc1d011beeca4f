"""Looks at the places of data: what is there, and what has changed since it was recorded."""
