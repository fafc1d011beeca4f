"""Run events for OpenLineage, from the events of builds."""
