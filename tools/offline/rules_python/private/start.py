"""Runs the main file of a program with its import path: start.py MAIN [ARGUMENT...].

The launcher passes the import path in STARTUP_IMPORT_PATH, and this module moves it to sys.path. As with rules_python
1.7 and newer, PYTHONPATH is not set, so child processes do not inherit the path. PYTHONPATH of the user and the
standard library come first.
"""

import os
import sys


def _run() -> None:
    sys.path += os.environ.pop("STARTUP_IMPORT_PATH").split(":")
    main = sys.argv[1]
    if not sys.flags.safe_path:  # the user has set an empty PYTHONSAFEPATH
        sys.path[0] = os.path.dirname(main)
    del sys.argv[0]
    loader = type(__loader__)("__main__", main)
    module = type(sys)("__main__")
    module.__builtins__ = __builtins__
    module.__file__ = main
    module.__loader__ = loader
    sys.modules["__main__"] = module
    # Neither reads nor writes bytecode, as Python does for a file on its command line.
    exec(loader.source_to_code(loader.get_data(main), main), module.__dict__)


_run()
