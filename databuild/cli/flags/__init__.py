"""Flags and commands of the command line as tables, their parsers, help and exit codes."""
