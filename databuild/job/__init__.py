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

`main` gives the program the sub-commands `config`, `exec` and `worker`. DataBuild runs the first two; no executor runs
`worker` yet. A job starts once or twice per task, so these modules import very little; import heavy packages inside
`run`.
"""

from databuild.job.answers import Config, ConfigError
from databuild.job.files import content_digest, writing
from databuild.job.program import main
from databuild.job.run import Run

__all__ = ["Config", "ConfigError", "Run", "content_digest", "main", "writing"]
