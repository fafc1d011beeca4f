#!/bin/sh
echo "bazel coverage needs tools that Bazel downloads from its own site, and --config=offline has none. Use tools/dev/coverage.sh." >&2
exit 1
