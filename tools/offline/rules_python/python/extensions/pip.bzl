"""The module extension `pip`: a repository of packages for each hub that a module names."""

load("//private:pip_repository.bzl", "pip_repository")

_parse = tag_class(
    doc = "The packages of a hub for one version of Python. The machine's Python picks one tag of each hub.",
    attrs = {
        "download_only": attr.bool(doc = "Refuse source archives."),
        "extra_pip_args": attr.string_list(doc = "More arguments for `pip install`."),
        "hub_name": attr.string(mandatory = True, doc = "The repository's name."),
        "python_version": attr.string(doc = "Such as `3.11`. Unset means any."),
        "requirements_linux": attr.label(doc = "Takes precedence over `requirements_lock`."),
        "requirements_lock": attr.label(doc = "Every package with its version and hashes."),
    },
)

def _minor(version):
    """`3.11` of `3.11.7`."""
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
        fitting = [tag for tag in hub_tags if tag.python_version == "" or _minor(tag.python_version) == python]
        pip_repository(
            name = hub_name,
            extra_pip_args = fitting[0].extra_pip_args + (["--only-binary=:all:"] if fitting[0].download_only else []) if fitting else [],
            problem = "" if fitting else "the machine's Python is {}, and the hub {} of module {} has pip.parse tags only for {}".format(
                python,
                hub_name,
                owners[hub_name],
                ", ".join([tag.python_version for tag in hub_tags]),
            ),
            requirements_lock = (fitting[0].requirements_linux or fitting[0].requirements_lock) if fitting else None,
        )

pip = module_extension(
    implementation = _pip_impl,
    tag_classes = {"parse": _parse},
)
