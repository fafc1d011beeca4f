"""The dashboard: pages of the service for a browser, over the same API as gRPC and HTTP."""
