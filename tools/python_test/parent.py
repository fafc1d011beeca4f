"""Starts a program from the runfiles, with the unchanged environment."""

import os
import subprocess
import sys
from pathlib import Path

import rich

assert rich.__name__ == "rich"
program = Path(os.environ["RUNFILES_DIR"], "_main/tools/python_test/program")
sys.exit(subprocess.run([program, *sys.argv[1:]], check=False).returncode)
