"""The cost that DataBuild adds to jobs, compared with the raw limit in one session: `bazel run //benchmarks`."""
