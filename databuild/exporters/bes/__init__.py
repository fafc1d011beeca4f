"""Shows builds in the user interface of a Build Event Service, such as that of a remote execution service."""
