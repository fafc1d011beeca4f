"""The program: as short as possible, since Python compiles the main file at every start."""

import gc

# Modules and plans consist of many objects that live as long as the process. With the default thresholds, garbage
# collection would take a twentieth of the time of a command that only reads, and a fifth of that of a large plan.
gc.set_threshold(100_000, 50, 100)

from databuild.cli.main import main  # noqa: E402 - the import makes most of these objects

main()
