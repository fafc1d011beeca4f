"""A graph whose jobs report the places of their data: a declared job in sh, and Python jobs with and without worker."""

from __future__ import annotations

import shlex
from pathlib import Path

from tests.support.script_graph import ScriptGraph
from tools.python import child

COMMIT = "0123456789abcdef0123456789abcdef01234567"

NUMBER = """#!/bin/sh
set -eu
file=data/number/$1
mkdir -p "${file%/*}"
if [ "$1" = fails ]; then echo "cannot make $1" >&2; exit 7; fi
echo "${#1}${SALT:-}" >"$file.part"
mv "$file.part" "$file"
printf '{"partition": {"ref": "number/%s", "metadata": {"path": "%s"}}}\\n' "$1" "$PWD/$file" >>"$DATABUILD_REPORT"
"""

SUM = """
from pathlib import Path

from databuild.job import Config, content_digest, main, writing


def config(refs):
    for ref in refs:
        names = ref.removeprefix("sum/").split("_")
        inputs = [f"number/{name}" for name in names]
        yield Config(outputs=[ref], materialize=inputs, query=["other/absent"], args=names, env={"UNIT": "secret"})


def run(run):
    numbers = [Path(used.metadata["path"]).read_text().strip() for used in run.inputs_of("number")]
    path = Path("FOLDER/data") / run.output.ref
    with writing(path) as temporary:
        Path(temporary).write_text(" ".join(numbers) + run.env.get("SALT", "") + "\\n")
    run.finished(run.output.ref, uri=path, content_digest=content_digest(path), numbers=len(numbers))


main(config, run)
"""


def number_graph(folder: Path) -> ScriptGraph:
    """Returns the graph, in the workspace `folder` with a commit.

    `number/NAME` has the length of the name, and `sum/NAME_NAME...` those of several names. A worker makes `fast/...`,
    which is the same. The variable SALT changes the data.
    """
    graph = ScriptGraph(folder)
    (folder / ".git").mkdir()
    (folder / ".git/HEAD").write_text(f"{COMMIT}\n")
    (folder / "number").write_text(NUMBER)
    for name in ("sum", "fast"):
        program = folder / f"{name}.py"
        program.write_text(SUM.replace("FOLDER", str(folder)).replace("sum/", f"{name}/"))
        (folder / name).write_text(f'#!/bin/sh\nexec {shlex.join(child.command(str(program), flags=("-S",)))} "$@"\n')
        (folder / name).chmod(0o755)
        (folder / f"{name}.digest").write_text(f"{name}-1\n")
    graph.jobs = [
        {
            "label": "//numbers:number",
            "executable": "number",
            "outputs": ["number/{name}"],
            "code_digest_file": "number.digest",
            "declaration": {"args": ["{name}"]},
            "environment": {"FROM_TARGET": "1"},
        }
    ]
    for name in ("sum", "fast"):
        job = {"label": f"//numbers:{name}", "executable": name, "code_digest_file": f"{name}.digest"}
        graph.jobs.append({**job, "outputs": [f"{name}/{{names}}"]})
    graph.jobs[2]["worker"] = {}
    graph.write_catalog()
    return graph
