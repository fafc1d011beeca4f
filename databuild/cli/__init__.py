"""The command line: it parses, calls what does the work, prints, and exits with a code that says what happened.

The only package that reads flags and environment variables. What a command does is in `commands/`, one file each.
"""
