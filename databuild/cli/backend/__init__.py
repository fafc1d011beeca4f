"""The backends of commands, behind one interface: the state directory of this machine, and a service."""
