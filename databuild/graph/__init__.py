"""The graph: which job produces what, what has to be built and why, and in which order it runs. Pure domain code."""
