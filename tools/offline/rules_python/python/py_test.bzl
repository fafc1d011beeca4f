"""The native rule, but without files that nobody wrote: no `__init__.py` is made up among the runfiles."""

def py_test(name, legacy_create_init = 0, **kwargs):
    # buildifier: disable=native-py
    native.py_test(name = name, legacy_create_init = legacy_create_init, **kwargs)
