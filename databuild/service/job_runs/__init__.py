"""Jobs, job runs and their logs, as the service answers them."""
