"""The program: as short as possible, since Python compiles the main file at every start."""

import gc
import sys

# Modules and plans consist of many objects that live as long as the process. With the default thresholds, garbage
# collection would take a twentieth of the time of a command that only reads, and a fifth of that of a large plan.
gc.set_threshold(100_000, 50, 100)

try:
    from databuild.cli.main import main  # the import makes most of these objects
except KeyboardInterrupt:  # later, `main` handles it
    sys.stderr.write("databuild: interrupted\n")
    sys.exit(130)

main()
