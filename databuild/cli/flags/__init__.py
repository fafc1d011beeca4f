"""Flags and commands of the command line, and their help."""
