"""The program: as short as possible, since Python compiles the main file at every start."""

from databuild.cli.main import main

main()
