"""Proofs about declared jobs that hold for all of their refs: each input has a producer, and nothing needs itself."""
