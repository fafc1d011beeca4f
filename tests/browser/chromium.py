"""The path of Chromium, which is installed outside Bazel."""

import os
import shutil

CHROMIUM = os.environ.get("DATABUILD_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
"""Path of the executable; None if Chromium is not installed."""

ARGUMENTS = ["--no-sandbox"]
"""The sandbox of Chromium does not work inside the sandbox of Bazel."""
