"""The native rule without implicit `__init__.py` files in the runfiles."""

def py_binary(name, legacy_create_init = 0, python_version = None, **kwargs):  # buildifier: disable=unused-variable
    # `python_version` is ignored: the only Python is that of the system.
    # buildifier: disable=native-py
    native.py_binary(name = name, legacy_create_init = legacy_create_init, **kwargs)
