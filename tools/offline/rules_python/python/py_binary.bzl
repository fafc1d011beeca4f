"""The native rule, but without files that nobody wrote: no `__init__.py` is made up among the runfiles."""

def py_binary(name, legacy_create_init = 0, python_version = None, **kwargs):  # buildifier: disable=unused-variable
    # There is one Python, the machine's, whichever version is asked for.
    # buildifier: disable=native-py
    native.py_binary(name = name, legacy_create_init = legacy_create_init, **kwargs)
