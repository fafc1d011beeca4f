"""Jobs of the flights example: flights from New York City in 2013, and the weather."""
