"""DataBuild: a declarative, partition-oriented build system for data, integrated with Bazel."""
