"""Writes the generated pages anew: what `bazel run //docs:update` does with pairs of a page and what it should be."""

import os
import shutil
import sys
from pathlib import Path

if __name__ == "__main__":
    docs = Path(os.environ["BUILD_WORKSPACE_DIRECTORY"], "docs")
    for page, generated in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
        shutil.copyfile(generated, docs / page)
