"""Runs a program's main file with the program's import path: start.py MAIN [ARGUMENT...].

The launcher puts the path into STARTUP_IMPORT_PATH, and this moves it to sys.path. As with rules_python 1.7 and newer,
there is no PYTHONPATH: what the program starts does not inherit the path. The user's own PYTHONPATH and the standard
library come before it.
"""

import os
import sys


def _run() -> None:
    sys.path += os.environ.pop("STARTUP_IMPORT_PATH").split(":")
    main = sys.argv[1]
    if not sys.flags.safe_path:  # the user says so, by an empty PYTHONSAFEPATH
        sys.path[0] = os.path.dirname(main)
    del sys.argv[0]
    loader = type(__loader__)("__main__", main)
    module = type(sys)("__main__")
    module.__builtins__ = __builtins__
    module.__file__ = main
    module.__loader__ = loader
    sys.modules["__main__"] = module
    # Neither reads bytecode nor writes it, like Python with a file of its command line.
    exec(loader.source_to_code(loader.get_data(main), main), module.__dict__)


_run()
