"""What DataBuild adds to the cost of the jobs, held against the raw limit in one sitting: `bazel run //benchmarks`."""
