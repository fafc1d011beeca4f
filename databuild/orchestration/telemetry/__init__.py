"""Traces and metrics of builds."""
