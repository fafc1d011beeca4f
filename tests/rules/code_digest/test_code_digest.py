"""Tests of the code digest: what changes it, what does not, and what is refused."""

import json
from pathlib import Path

import pytest

from rules.private.code_digest import code_digest, main


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program"
    path.write_text("echo")
    return path


def test_order_and_repetition_do_not_matter(program: Path) -> None:
    files = [("a", str(program)), ("b", str(program)), ("c", "")]

    assert code_digest(files) == code_digest([*reversed(files), files[0]])


def test_where_a_file_lies_now_does_not_matter(tmp_path: Path, program: Path) -> None:
    copy = tmp_path / "copy"
    copy.write_text("echo")

    assert code_digest([("a", str(program))]) == code_digest([("a", str(copy))])


def test_content_matters(program: Path) -> None:
    before = code_digest([("a", str(program))])
    program.write_text("echo 2")

    assert code_digest([("a", str(program))]) != before


def test_the_path_that_the_job_sees_matters(program: Path) -> None:
    assert code_digest([("a", str(program))]) != code_digest([("b", str(program))])


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
    digests = {code_digest([(f"../{name}/folder/a", str(program))]) for name in names}
    others = {code_digest([(path, str(program))]) for path in ("../other~/folder/a", "folder/a", "../module~/a")}

    assert len(digests) == 1
    assert not digests & others


def test_repositories_of_one_name_from_different_extensions_are_told_apart(program: Path) -> None:
    names = ("module~", "module~~pip~numpy", "module~~uv~numpy", "other~~pip~numpy", "_main~pip~numpy", "numpy~")

    assert len({code_digest([(f"../{name}/a", str(program))]) for name in names}) == len(names)


def test_an_empty_file_is_not_an_absent_one(program: Path) -> None:
    assert code_digest([("a", str(program)), ("b", "")]) != code_digest([("a", str(program))])


def test_bytecode_does_not_matter(tmp_path: Path, program: Path) -> None:
    (tmp_path / "m.pyc").write_text("1")
    files = [("a", str(program)), ("m.pyc", str(tmp_path / "m.pyc")), ("__pycache__/x", str(program))]

    assert code_digest(files) == code_digest(files[:1])


def test_a_folder_counts_as_the_files_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "sub" / "__pycache__").mkdir(parents=True)
    (folder / "sub" / "file").write_text("1")
    (folder / "sub" / "__pycache__" / "m.pyc").write_text("2")

    assert code_digest([("d", str(folder))]) == code_digest([("d/sub/file", str(folder / "sub" / "file"))])


def test_a_dangling_link_counts_as_where_it_points(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("nowhere")
    (tmp_path / "other").symlink_to("elsewhere")

    assert code_digest([("a", str(tmp_path / "one"))]) != code_digest([("a", str(tmp_path / "other"))])


def test_the_digest_of_known_content_never_changes(program: Path) -> None:
    digest = "1b81a2db2bb2ea828d35788abe5580d4e372fea70e276a165e5dd8842b6137de"

    assert code_digest([("a", str(program)), ("b", "")]) == digest


def test_the_environment_of_the_program_matters_and_its_order_does_not(program: Path) -> None:
    files = [("a", str(program))]
    digests = [code_digest(files, environment) for environment in ({}, {"A": "1"}, {"A": "2"}, {"A": "1", "B": "2"})]

    assert len(set(digests)) == len(digests)
    assert digests[0] == code_digest(files)
    assert digests[3] == code_digest(files, {"B": "2", "A": "1"})


def run_main(tmp_path: Path, program: Path, more: str = "") -> str:
    (tmp_path / "files").write_text(f"a\n{program}\nsource\n" + more)
    description = {"environment": {"A": "1"}, "executable": str(program), "label": "//a:job"}
    return main([str(tmp_path / "output"), json.dumps(description), str(tmp_path / "files")])


def test_the_digest_is_written_for_an_executable_program(tmp_path: Path, program: Path) -> None:
    program.chmod(0o755)

    assert run_main(tmp_path, program) == ""
    assert (tmp_path / "output").read_text() == code_digest([("a", str(program))], {"A": "1"}) + "\n"


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
