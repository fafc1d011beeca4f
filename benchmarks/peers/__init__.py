"""Programs that run a graph with another tool, by the Python of the venv of these tools. They import nothing of ours.

Each reads the file `BENCHMARK_GRAPH`: `job` (the program), `parallelism` and `tasks`, a list of `ref` and `inputs` in
topological order. A run starts in an empty folder.
"""
