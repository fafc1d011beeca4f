"""The state directory of this machine or a service, behind one interface."""
