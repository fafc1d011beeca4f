"""The RPCs of the service, independent of the transport."""
