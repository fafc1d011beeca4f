"""The service: the same builds as the command line's, reached over gRPC and HTTP. An edge beside `databuild.cli`."""
