"""Bazel's own providers under other names, because a file cannot export a name that it also reads."""

NativePyInfo = PyInfo
NativePyRuntimeInfo = PyRuntimeInfo
