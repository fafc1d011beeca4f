"""The native provider."""

load("//private:native_providers.bzl", "NativePyRuntimeInfo")

PyRuntimeInfo = NativePyRuntimeInfo
