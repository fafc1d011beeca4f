"""The processes of jobs: asking for configurations, running tasks, reading what they reported, keeping their logs."""
