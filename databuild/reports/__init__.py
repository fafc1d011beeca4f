"""Reports about builds, for people and for systems of continuous integration."""
