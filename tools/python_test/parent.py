"""Starts a program that lies beside it among the runfiles, with the environment it was given itself."""

import os
import subprocess
import sys
from pathlib import Path

import rich

assert rich.__name__ == "rich"
program = Path(os.environ["RUNFILES_DIR"], "_main/tools/python_test/program")
sys.exit(subprocess.run([program, *sys.argv[1:]], check=False).returncode)
