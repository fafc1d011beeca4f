"""The process of the service: its options, sockets and life cycle."""
