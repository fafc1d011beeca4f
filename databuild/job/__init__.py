"""A job from two functions: what it needs, and the work.

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
`worker` yet. A job is started once or twice for each task, so these modules import next to nothing: import what is
heavy inside `run`.
"""

from databuild.job.answers import Config, ConfigError
from databuild.job.files import content_digest, writing
from databuild.job.program import main
from databuild.job.run import Run

__all__ = ["Config", "ConfigError", "Run", "content_digest", "main", "writing"]
