"""Notifications of ends of builds and of failed checks by HTTP requests."""
