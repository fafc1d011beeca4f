"""A job from two functions: `config` declares inputs and outputs, and `run` does the work.

    from databuild.job import Config, Run, main

    def config(refs: Sequence[str]) -> Iterable[Config]:
        for ref in refs:
            yield Config(outputs=[ref], materialize=[...], args=[ref])

    def run(run: Run) -> None:
        (ref,) = run.args
        ...
        run.finished(ref, rows=842)

    if __name__ == "__main__":
        main(config, run)

`main` gives the program the sub-commands `config`, `exec` and `worker`; the last one serves jobs with `worker = True`.
`main(config, run, check=check)` adds `check`, for jobs with data that DataBuild cannot check itself.
A job that declares its inputs in its BUILD file has no `config`: `main(run)` is enough. Any other job starts once or
twice per task, so these modules import very little; import heavy packages inside `run`.
"""

from databuild.job.answers import Config, ConfigError
from databuild.job.files import content_digest, writing
from databuild.job.program import main
from databuild.job.run import Run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from databuild.job.found import CheckError, Found
    from databuild.job.partitions import Fields, Input, Metadata, Partition
    from databuild.job.publishing import OvertakenError
    from databuild.job.task_description import TaskDescriptionError
    from databuild.job.values import image, link, markdown, schema, table

__all__ = [
    "CheckError",
    "Config",
    "ConfigError",
    "Fields",
    "Found",
    "Input",
    "Metadata",
    "OvertakenError",
    "Partition",
    "Run",
    "TaskDescriptionError",
    "content_digest",
    "image",
    "link",
    "main",
    "markdown",
    "schema",
    "table",
    "writing",
]


def __getattr__(name: str) -> object:
    # Few jobs use these names, and their modules are slow to import.
    if name == "TaskDescriptionError":
        from databuild.job import task_description

        return task_description.TaskDescriptionError
    if name == "OvertakenError":
        from databuild.job import publishing

        return publishing.OvertakenError
    if name in {"CheckError", "Found"}:
        from databuild.job import found

        return getattr(found, name)
    if name in {"image", "link", "markdown", "schema", "table"}:
        from databuild.job import values

        return getattr(values, name)
    if name in {"Fields", "Input", "Metadata", "Partition"}:
        from databuild.job import partitions

        return getattr(partitions, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
