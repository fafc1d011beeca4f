"""Jobs of the flights example: what left New York City in 2013, and what the weather did to it."""
