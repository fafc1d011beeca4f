"""The event log: stores of the events of builds, and the read models that are computed from them."""
