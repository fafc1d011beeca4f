"""The module extension `pip`: one repository of packages per hub."""

load("//private:pip_repository.bzl", "pip_repository")

_parse = tag_class(
    doc = "Packages of a hub for one version of Python. The tag for the version of the system Python is used.",
    attrs = {
        "download_only": attr.bool(doc = "Reject source archives."),
        "extra_pip_args": attr.string_list(doc = "Additional arguments of `pip install`."),
        "hub_name": attr.string(mandatory = True, doc = "Name of the repository."),
        "python_version": attr.string(doc = "Version such as `3.11`. Unset means any."),
        "requirements_linux": attr.label(doc = "Takes precedence over `requirements_lock`."),
        "requirements_lock": attr.label(doc = "Lock file: every package with its version and hashes."),
    },
)

def _minor(version):
    """Returns `3.11` for `3.11.7`."""
    return ".".join(version.split(".")[:2])

def _pip_impl(module_ctx):
    python = module_ctx.read(Label("@host_python//:abi.txt")).split(" ")[0]
    owners = {}
    tags = {}
    for module in module_ctx.modules:
        for tag in module.tags.parse:
            owner = owners.setdefault(tag.hub_name, module.name)
            if owner != module.name:
                fail("the modules {} and {} both have a hub named {}".format(owner, module.name, tag.hub_name))
            tags.setdefault(tag.hub_name, []).append(tag)

    for hub_name, hub_tags in tags.items():
        matching = [tag for tag in hub_tags if tag.python_version == "" or _minor(tag.python_version) == python]
        pip_repository(
            name = hub_name,
            extra_pip_args = matching[0].extra_pip_args + (["--only-binary=:all:"] if matching[0].download_only else []) if matching else [],
            problem = "" if matching else "the system Python is {}, but the hub {} of module {} has pip.parse tags only for {}".format(
                python,
                hub_name,
                owners[hub_name],
                ", ".join([tag.python_version for tag in hub_tags]),
            ),
            requirements_lock = (matching[0].requirements_linux or matching[0].requirements_lock) if matching else None,
        )

pip = module_extension(
    implementation = _pip_impl,
    tag_classes = {"parse": _parse},
)
