"""One build from its request to its result: `run_build`."""
