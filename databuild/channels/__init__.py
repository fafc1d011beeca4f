"""Connections over gRPC to systems that the user names: their addresses, headers and certificates."""
