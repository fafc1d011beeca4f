#!/bin/sh
echo "bazel coverage needs tools that Bazel downloads, which --config=offline does not have. Use tools/dev/coverage.sh." >&2
exit 1
