"""Resources that the requests to the service share, and their limits."""
