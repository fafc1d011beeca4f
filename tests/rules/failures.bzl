"""Analysis tests of targets that must not build: each fail() of the rules has one."""

load("@bazel_skylib//lib:unittest.bzl", "analysistest", "asserts")

visibility(["//tests/rules/..."])

def _failure_test_impl(ctx):
    env = analysistest.begin(ctx)
    for message in ctx.attr.messages:
        asserts.expect_failure(env, message)
    return analysistest.end(env)

failure_test = analysistest.make(
    _failure_test_impl,
    attrs = {"messages": attr.string_list(doc = "Texts that the message must contain, such as both names.")},
    expect_failure = True,
)

def must_fail(name, rule, messages, **kwargs):
    """Declares a target that does not build, and a test of the message.

    Args:
        name: The name of the test.
        rule: The rule or macro of the target.
        messages: Texts that the message must contain.
        **kwargs: The target's attributes.
    """
    rule(
        name = name + "_subject",
        tags = ["manual"],
        **kwargs
    )
    failure_test(
        name = name,
        size = "small",
        messages = messages,
        target_under_test = ":" + name + "_subject",
    )
