"""Prints properties of the environment of a py_binary, one per line."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import absl
from python.runfiles import runfiles

from tools.python import child
from tools.python_test import module

print("module", Path(module.__file__).name)
print("declared", absl.__name__)
print("undeclared", importlib.util.find_spec("rich"))
print("data", Path(os.environ["RUNFILES_DIR"], "_main/tools/python_test/data.txt").read_text().strip())
print("arguments", sys.argv[1:])
print("runfiles", Path(runfiles.Create().Rlocation("databuild/tools/python_test/data.txt")).read_text().strip())
print("PYTHONPATH", os.environ.get("PYTHONPATH"))
print("PYTHONSAFEPATH", os.environ.get("PYTHONSAFEPATH"))
print("own folder", str(Path(__file__).parent) in sys.path)
command = child.command("-c", "import absl, tools.python_test.module; print('child', absl.__name__)")
print(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
sys.exit(7)
