"""Where Chromium is, which does not come with Bazel."""

import os
import shutil

CHROMIUM = os.environ.get("DATABUILD_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
"""Its path; None where there is none."""

ARGUMENTS = ["--no-sandbox"]
"""Its own sandbox needs rights that Bazel's takes away."""
