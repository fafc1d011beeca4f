"""The requests of the service, one method each, whatever transport they come by."""
