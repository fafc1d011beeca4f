"""The service: builds over gRPC and HTTP. It runs them exactly as the command line does."""
