"""The native rule."""

py_runtime = native.py_runtime
