"""Copies generated pages to docs/: update.py [PAGE GENERATED]... Used by `bazel run //docs:update`."""

import os
import shutil
import sys
from pathlib import Path

if __name__ == "__main__":
    docs = Path(os.environ["BUILD_WORKSPACE_DIRECTORY"], "docs")
    for page, generated in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
        shutil.copyfile(generated, docs / page)
