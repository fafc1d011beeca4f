"""Jobs of the podcast example: reviews, sorted into categories, and what people say in each."""
