"""The native provider."""

load("//private:native_providers.bzl", "NativePyInfo")

PyInfo = NativePyInfo
