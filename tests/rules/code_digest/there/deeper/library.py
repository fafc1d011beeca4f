"""Part of what the program is."""
