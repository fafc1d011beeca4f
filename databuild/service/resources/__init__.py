"""Resources that all requests to the service share, and their limits."""
