"""Native providers under other names, because a file cannot export a name that it also uses."""

NativePyInfo = PyInfo
NativePyRuntimeInfo = PyRuntimeInfo
