"""The dashboard: web pages over the same API as gRPC and HTTP."""
