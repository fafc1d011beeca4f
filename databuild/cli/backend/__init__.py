"""What commands work on, behind one interface: the state directory of this machine, or a service."""
