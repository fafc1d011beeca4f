"""Output of the command line: streams, formats of values, progress of builds, and texts of events and errors."""
