"""The events of one build: their payloads, and the orchestrator, which is their only writer."""
