"""Traces, metrics and logs for OpenTelemetry, from the events of builds."""
