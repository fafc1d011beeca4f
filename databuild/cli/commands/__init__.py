"""The commands, one file each: `run(call)` does what it says and returns the exit code."""
