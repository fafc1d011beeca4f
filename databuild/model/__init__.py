"""What several layers share: the lifecycle of a build, the job graph and the records of what is known.

Imports nothing of ours but the messages and the errors, so that every layer may import it.
"""
