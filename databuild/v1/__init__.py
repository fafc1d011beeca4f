"""The messages of DataBuild, generated from proto/databuild/v1."""

from databuild.lazy_modules import load_on_first_use

# The implementation of messages in Python, with formats as text, which only installations without a compiled one use.
# `google.protobuf.descriptor_pool` imports it in any case, and it takes half of the time of the messages.
load_on_first_use("google.protobuf.internal.python_message")
# With regular expressions and `locale`, for one function of the messages of time.
load_on_first_use("calendar")
