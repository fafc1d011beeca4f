"""Tests of the code digest: changes that it covers, changes that it ignores, and files that it refuses."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from rules.private.code_digest import File, Program, code_digest, main


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program"
    path.write_text("echo")
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.write_text("data")
    return path


def digest(
    *files: tuple[str, Path | str],
    package: str = "",
    repository: str = "",
    origin: str = "source",
    executable: Path | str = "",
    environment: Mapping[str, str] | None = None,
) -> str:
    """Returns the digest of files, given by their paths in the runfiles and their locations; None for an empty file."""
    program = Program(
        label="//a:job",
        executable=str(executable),
        environment=environment or {},
        repository=repository,
        package=package,
    )
    return code_digest(program, [File(seen, str(present), origin if present else "empty") for seen, present in files])


def test_order_and_repetition_do_not_matter(program: Path) -> None:
    files: list[tuple[str, Path | str]] = [("a", program), ("b", program), ("c", "")]

    assert digest(*files) == digest(*reversed(files), files[0])


def test_the_current_place_of_a_file_does_not_matter(tmp_path: Path, program: Path) -> None:
    copy = tmp_path / "copy"
    copy.write_text("echo")

    assert digest(("a", program)) == digest(("a", copy))


def test_content_matters(program: Path) -> None:
    before = digest(("a", program))
    program.write_text("echo 2")

    assert digest(("a", program)) != before


def test_the_path_that_the_job_sees_matters(program: Path) -> None:
    assert digest(("a", program)) != digest(("b", program))


@pytest.mark.parametrize(
    "names",
    [
        ("module~", "module~1.2", "module~1.2.bcr.3", "module+", "module+1.2", "module~override"),
        ("module~~pip~numpy", "module~1.2~pip~numpy", "module++pip+numpy", "module+1.2+pip+numpy"),
        ("_main~pip~numpy", "+pip+numpy"),
        ("_main~_repo_rules~data", "+_repo_rules+data"),
        ("bazel_tools",),
    ],
)
def test_names_of_repositories_count_the_same_in_all_versions_of_bazel(program: Path, names: tuple[str, ...]) -> None:
    digests = {digest((f"../{name}/folder/a", program)) for name in names}
    others = {digest((path, program)) for path in ("../other~/folder/a", "folder/a", "../module~/a")}

    assert len(digests) == 1
    assert not digests & others


def test_repositories_of_one_name_from_different_extensions_are_told_apart(program: Path) -> None:
    names = ("module~", "module~~pip~numpy", "module~~uv~numpy", "other~~pip~numpy", "_main~pip~numpy", "numpy~")

    assert len({digest((f"../{name}/a", program)) for name in names}) == len(names)


def test_an_empty_file_is_not_an_absent_one(program: Path) -> None:
    assert digest(("a", program), ("b", "")) != digest(("a", program))


def test_bytecode_does_not_matter(tmp_path: Path, program: Path) -> None:
    (tmp_path / "m.pyc").write_text("1")
    files = [("a", program), ("m.pyc", tmp_path / "m.pyc"), ("__pycache__/x", program)]

    assert digest(*files) == digest(files[0])


def test_a_folder_counts_as_the_files_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "sub" / "__pycache__").mkdir(parents=True)
    (folder / "sub" / "file").write_text("1")
    (folder / "sub" / "__pycache__" / "m.pyc").write_text("2")

    assert digest(("d", folder)) == digest(("d/sub/file", folder / "sub" / "file"))


def test_a_dangling_link_counts_as_where_it_points(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("nowhere")
    (tmp_path / "other").symlink_to("elsewhere")

    assert digest(("a", tmp_path / "one")) != digest(("a", tmp_path / "other"))


def test_the_digest_of_known_content_never_changes(program: Path, data: Path) -> None:
    files: list[tuple[str, Path | str]] = [
        ("jobs/a", program),
        ("lib/b", data),
        ("../module~/c", data),
        ("jobs/d", ""),
    ]

    known = "395e17a5b6c9a9cd4436d34f7d912d9f2b5ab4261028d6803daad2d86007fe5e"

    assert digest(*files, package="jobs", executable=program, environment={"A": "1"}) == known


def test_the_environment_of_the_program_matters_and_its_order_does_not(program: Path) -> None:
    environments: tuple[dict[str, str], ...] = ({}, {"A": "1"}, {"A": "2"}, {"A": "1", "B": "2"})
    digests = [digest(("a", program), environment=environment) for environment in environments]

    assert len(set(digests)) == len(digests)
    assert digests[3] == digest(("a", program), environment={"B": "2", "A": "1"})


@pytest.mark.parametrize("origin", ["source", "generated"])
@pytest.mark.parametrize("after", ["other", "other/deeper", ""])
def test_the_package_of_the_program_does_not_matter(program: Path, data: Path, origin: str, after: str) -> None:
    def at(package: str) -> str:
        folder = f"{package}/" if package else ""
        files = [(f"{folder}program", program), (f"{folder}sub/data", data), ("../module~/x", data)]
        variables = {"DATA": f"_main/{folder}sub/data"}
        return digest(*files, package=package, origin=origin, executable=program, environment=variables)

    assert at("jobs") == at(after)


def test_the_package_does_not_matter_in_other_repositories_either(program: Path, data: Path) -> None:
    def at(repository: str, package: str) -> str:
        folder = f"../{repository}/{package}/" if repository else f"{package}/"
        files = [(folder + "program", program), (folder + "data", data)]
        return digest(*files, repository=repository, package=package, executable=program)

    assert at("acme~", "jobs") == at("acme~", "other") == at("acme+", "jobs") == at("", "jobs")


def test_the_place_of_files_of_other_packages_matters(program: Path, data: Path) -> None:
    files = [("jobs/program", program), ("lib/data", data)]
    moved = [files[0], ("lib2/data", data)]
    joined = [files[0], ("jobs/data", data)]

    assert len({digest(*these, package="jobs", executable=program) for these in (files, moved, joined)}) == 3


def test_the_name_of_a_file_in_the_package_matters(program: Path, data: Path) -> None:
    one, other = (digest(("jobs/p", program), (f"jobs/{name}", data), package="jobs") for name in ("a", "b"))

    assert one != other


def test_generated_init_files_above_the_program_do_not_matter(program: Path) -> None:
    def at(package: str) -> list[tuple[str, Path | str]]:
        above = [package.rsplit("/", number)[0] for number in range(package.count("/") + 1)]
        return [(f"{package}/program", program), *((f"{folder}/__init__.py", "") for folder in above)]

    flat = digest(*at("jobs"), package="jobs")

    assert digest(*at("some/other/jobs"), package="some/other/jobs") == flat
    assert digest(at("jobs")[0], package="jobs") != flat
    assert digest(*at("jobs"), ("lib/__init__.py", ""), package="jobs") != flat


def test_a_generated_launcher_may_name_its_package(tmp_path: Path) -> None:
    def at(package: str, repository: str = "") -> str:
        launcher = tmp_path / "launcher"
        launcher.write_text(
            f"# {'@@' + repository}//{package}:launcher\nmain='{repository or '_main'}/{package}/main.py'\n"
            f"IMPORTS='{repository or '_main'}/{package}:_main/lib'\n"
        )
        folder = f"../{repository}/{package}" if repository else package
        return digest(
            (f"{folder}/launcher", launcher),
            package=package,
            repository=repository,
            origin="generated",
            executable=launcher,
        )

    assert at("jobs") == at("other/jobs") == at("jobs", "acme~")


@pytest.mark.parametrize("text", ["_main/jobs2/x", "x_main/jobs/x", "_main/jobs.d", "//jobs:x", "_main/lib/jobs"])
def test_a_generated_launcher_that_names_something_else_counts_as_it_is(tmp_path: Path, text: str) -> None:
    launcher = tmp_path / "launcher"
    digests = set()
    for package in ("jobs", "other"):
        launcher.write_text(text.replace("jobs", package))
        digests.add(digest((f"{package}/launcher", launcher), package=package, origin="generated"))

    assert len(digests) == 2


def test_a_package_name_in_the_source_of_a_program_counts_as_it_is(program: Path) -> None:
    digests = set()
    for package in ("jobs", "other"):
        program.write_text(f"cat $RUNFILES_DIR/_main/{package}/data")
        digests.add(digest((f"{package}/program", program), package=package, executable=program))

    assert len(digests) == 2


def test_the_script_of_a_shell_program_counts_once(tmp_path: Path, program: Path) -> None:
    script = tmp_path / "script"
    script.write_text(program.read_text())
    where = ("jobs/script", "lib/script")
    digests = {digest(("jobs/program", program), (seen, script), package="jobs", executable=program) for seen in where}
    script.write_text("changed")

    assert digests == {digest(("jobs/program", program), package="jobs", executable=program)}
    assert digest(("jobs/program", program), ("jobs/script", script), package="jobs", executable=program) not in digests


def run_main(tmp_path: Path, program: Path, more: str = "") -> str:
    (tmp_path / "files").write_text(f"a\n{program}\nsource\n" + more)
    described = {"environment": {"A": "1"}, "executable": str(program), "label": "//a:job"}
    return main([str(tmp_path / "output"), json.dumps(described), str(tmp_path / "files")])


def test_the_digest_is_written_for_an_executable_program(tmp_path: Path, program: Path) -> None:
    program.chmod(0o755)

    assert run_main(tmp_path, program) == ""
    expected = digest(("a", program), executable=program, environment={"A": "1"})
    assert (tmp_path / "output").read_text() == expected + "\n"


def test_a_program_that_is_not_executable_is_refused(tmp_path: Path, program: Path) -> None:
    program.chmod(0o644)

    assert run_main(tmp_path, program) == f"{program}, the binary of //a:job, is not executable: run `chmod +x` on it"
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize(("origin", "refused"), [("source", True), ("generated", False)])
def test_a_source_directory_is_refused_and_a_generated_one_is_not(
    tmp_path: Path, program: Path, origin: str, refused: bool
) -> None:
    program.chmod(0o755)
    (tmp_path / "templates").mkdir()

    fault = run_main(tmp_path, program, f"x/templates\n{tmp_path}/templates\n{origin}\n")

    assert fault.startswith("the source directory x/templates is among the runfiles of //a:job") == refused
    assert ('glob(["templates/**"])' in fault) == refused
    assert (tmp_path / "output").exists() != refused
