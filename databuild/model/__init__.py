"""Types that several layers share: the lifecycle of a build, the job graph, and records of builds and partitions.

Imports only the protobuf messages and the errors, so that every layer may import it.
"""
