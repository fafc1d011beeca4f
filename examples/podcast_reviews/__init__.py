"""Jobs of the podcast example: reviews by category, and the phrases that they use."""
