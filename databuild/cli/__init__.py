"""The command line: parses arguments, calls a backend, prints the result and returns an exit code.

`commands/` has one module for each command. No package below this one reads flags or environment variables.
"""
