"""One run of a job: its arguments, its partitions and its reports.

Reports are lines of JSON, each a JobReport of proto/databuild/v1/job.proto, appended to the file that
`DATABUILD_REPORT` names. Without that variable, as when a job is run by hand, nothing is reported.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Literal

    from databuild.job.partitions import Input, Partition, Task


class Run:
    """The arguments and partitions of a run, and the methods that report from it.

    The partitions are those of the task description, which is read at their first use. If it cannot be read, such as in
    a program that was started by hand, they raise TaskDescriptionError.

    Args:
        args: The arguments of the Config.
        environ: The environment of the run.

    Attributes:
        args: The arguments of the Config.
        env: The environment of the run, with the variables of the Config.
        build_request_id: The id of the build; empty without a build.
        job_run_id: The id of the job run; empty without a build.
        attempt: The number of the attempt at the task, from 1.
        environment: The environment of the build; empty for the base.
    """

    def __init__(self, args: "Sequence[str]", environ: "Mapping[str, str]") -> None:
        self.args = tuple(args)
        self.env = environ
        self.build_request_id = environ.get("DATABUILD_BUILD_REQUEST_ID", "")
        self.job_run_id = environ.get("DATABUILD_JOB_RUN_ID", "")
        self.attempt = int(environ.get("DATABUILD_ATTEMPT") or "1")
        self.environment = environ.get("DATABUILD_ENVIRONMENT", "")
        self._token = int(environ.get("DATABUILD_FENCING_TOKEN") or "0")
        self._report_path = environ.get("DATABUILD_REPORT", "")
        self._task: Task | None = None

    @property
    def outputs(self) -> "Sequence[Partition]":
        """The partitions that the run completes, in the order of its configuration."""
        return self._description().outputs

    @property
    def output(self) -> "Partition":
        """The only output.

        Raises:
            ValueError: The run has another number of outputs.
        """
        outputs = self.outputs
        if len(outputs) != 1:
            raise ValueError(f"the run has {len(outputs):,} outputs, not one; use run.outputs")
        return outputs[0]

    @property
    def inputs(self) -> "Sequence[Input]":
        """The partitions that the run reads, in the order of its configuration; QUERY inputs are last."""
        return self._description().inputs

    def inputs_of(self, dataset: str) -> "Sequence[Input]":
        """Returns the inputs whose refs begin with one or more whole segments, such as `daily_delays`.

        Args:
            dataset: The segments. A run may have no such input.
        """
        beginning = dataset.rstrip("/") + "/"
        return [used for used in self.inputs if used.ref == dataset or used.ref.startswith(beginning)]

    def location(self, ref: str, *, root: str = "") -> str:
        """Returns the place of a partition of the run: a path, or a URI that is not of a file.

        That of an output is `ROOT/REF`. In an environment it is `ROOT/.environments/NAME/REF`, so that the run replaces
        no data of the base. That of an input is the one that its producer reported, in the base or in the environment.

        Args:
            ref: The partition, an input or an output of the run.
            root: The data root, a path or a URI such as `s3://bucket/data`. A relative path is relative to the
                workspace. Default: `DATABUILD_DATA_ROOT`, or `data`.

        Raises:
            ValueError: The producer of an input has reported no place, or the ref is not a path below a folder.
        """
        from databuild.job import locations
        from databuild.job.scratch import path_to_write

        task = self._description()
        if ref not in task.uris:
            place = locations.place(ref, self.env, root)
            return place if locations.is_uri(place) else path_to_write(place)
        uri = task.uris[ref]
        if not uri:
            raise ValueError(f"the place of the input {ref!r} is unknown: its job must report it, see `Run.finished`")
        return locations.file_path(uri) if uri.startswith("file:") else uri

    def _description(self) -> "Task":
        if self._task is None:
            from databuild.job.task_description import read_task

            self._task = read_task(self.env)
        return self._task

    def finished(
        self,
        ref: str,
        *,
        uri: "str | os.PathLike[str]" = "",
        size: int | None = None,
        version: str = "",
        content_digest: str = "",
        **metadata: object,
    ) -> None:
        """Reports that a partition is complete. It stays available even if the run fails later.

        Args:
            ref: The partition, one of the run's outputs.
            uri: The place of its data: a URI such as `s3://bucket/day.parquet`, or the path of a file or folder. Builds
                look there whether the data still exists. Default: the text `path` of the metadata, if there is one and
                the run is not on an engine.
            size: The size of the data in bytes. Default for a file or folder: its size; for an object, that which
                fsspec returns, if the job has imported its library for the store (s3fs, gcsfs, adlfs).
            version: The version that the store gave to the data, such as the ETag of an object. Default for a file or
                folder: the version of `databuild.job.locations`; for an object, its ETag or generation as for `size`.
            content_digest: A digest of the content. A partition that is rebuilt to the same digest makes no other
                partition stale.
            **metadata: Facts about the data, such as `rows=842`, with values that JSON allows, or those of `markdown`,
                `table`, `link`, `image` and `schema`.

        Raises:
            FileNotFoundError: The file or folder `uri` does not exist.
            ValueError: The URI contains credentials, such as a password or a signature.
        """
        if not self._report_path:
            return
        report: dict[str, object] = {"ref": ref}
        if metadata:
            report["metadata"] = metadata
        if location := self._location(os.fspath(uri), size, version, metadata.get("path")):
            report["location"] = location
        if content_digest:
            report["content_digest"] = content_digest
        self._report("partition", report)

    def _location(self, uri: str, size: int | None, version: str, path: object) -> "dict[str, object] | None":
        """Returns a Location as JSON, with size and version of a local file; None if no place is known."""
        from databuild.job import locations

        given = bool(uri)
        if not given:
            # On an engine, a path is one of its machine. A job that knows better says so with `uri`.
            if not isinstance(path, str) or not path or self.env.get("DATABUILD_EXECUTOR"):
                return None
            uri = path
        if not locations.is_uri(uri):
            uri = locations.file_uri(uri)
        elif locations.has_credentials(uri):
            raise ValueError(f"the location {locations.without_credentials(uri)} must contain no credentials")
        elif size is None or not version:
            size, version = locations.object_facts(uri, size, version)
        from databuild.job.scratch import path_to_read

        if uri.startswith("file:") and (size is None or not version):
            uri = locations.file_uri(path_to_read(locations.file_path(uri)))
            try:
                found = locations.size_and_version(locations.file_path(uri))
            except OSError:
                if given:
                    raise
                return None  # `path` is metadata, and may be anything
            size = found[0] if size is None else size
            version = version or found[1]
        location: dict[str, object] = {"uri": uri}
        if size is not None:
            location["size_bytes"] = size
        if version:
            location["version"] = version
        return location

    def publish(self, source: "str | os.PathLike[str]", path: "str | os.PathLike[str]") -> None:
        """Moves a complete file to its place or into an object, unless a newer run has published it there.

        An engine, or a build that was given up and comes back, may run a task again while a newer run of it is under
        way. Then only the newest run replaces the file. Files that are not published this way, such as with `writing`,
        are replaced by whichever run ends last.

        Args:
            source: The file, which is moved. Its name must not be one that another run uses, so it belongs into a
                directory of this run, such as the working directory on an engine or one of `tempfile`.
            path: Its place, on a file system that locks files with flock(2). Missing directories are created. Or
                `s3://BUCKET/KEY`, if the program of the job has the package s3fs.

        Raises:
            OvertakenError: A newer run has published the file. Let the error end the run.
            ValueError: The store has no conditional writes, or none that are used here.
        """
        from databuild.job import scratch

        place = os.fspath(path)
        if "://" in place and (file := scratch.object_file(place)):
            place = file
        if "://" in place:
            from databuild.job.object_publishing import publish_object

            publish_object(os.fspath(source), place, self._token)
        else:
            from databuild.job.publishing import publish

            publish(os.fspath(source), scratch.path_to_write(place), self._token)

    def metric(self, name: str, value: float, unit: str = "", *, ref: str = "") -> None:
        """Reports a measurement, such as `rows_read`, with a unit such as `bytes` or `s`.

        Args:
            name: The name of the metric.
            value: The value.
            unit: Its unit.
            ref: The output that was measured; empty for the whole run.
        """
        self._report("metric", {"name": name, "value": value, "unit": unit, **({"ref": ref} if ref else {})})

    def check(
        self,
        name: str,
        passed: bool,
        *,
        severity: 'Literal["info", "warning", "error"]' = "error",
        ref: str = "",
        message: str = "",
    ) -> bool:
        """Reports the outcome of a check, and returns whether it passed.

        Args:
            name: The name of the check, unique within the job.
            passed: True if it passed.
            severity: The severity of a failed check. With `error`, the run fails and its data is not trusted.
            ref: The partition that was checked; empty for a check of the whole run.
            message: One sentence for people.

        Raises:
            ValueError: The severity is not one of these.
        """
        if severity not in {"info", "warning", "error"}:
            raise ValueError(f"severity is {severity!r}; it must be 'info', 'warning' or 'error'")
        self._report(
            "check",
            {
                "name": name,
                "passed": bool(passed),
                "severity": "SEVERITY_" + severity.upper(),
                "ref": ref,
                "message": message,
            },
        )
        return bool(passed)

    def check_range(
        self,
        name: str,
        value: float,
        *,
        usual: "str | float" = "30%",
        severity: 'Literal["info", "warning", "error"]' = "error",
        ref: str = "",
    ) -> bool:
        """Reports a metric, and checks that it is near the median of the same number of the partitions before.

        The partitions are those that differ from this one in an earlier date only, as many as the attribute `history`
        of the job says. With fewer than five, the check passes. So it does in a program that was started by hand.

        Args:
            name: The name of the metric and of the check.
            value: The value.
            usual: The distance from the median that is allowed, as a part of the median: `30%` or 0.3.
            severity: As for `check`.
            ref: The output that was measured; empty for the only one.

        Raises:
            ValueError: `usual` is no share, the run has several outputs and none is named, or the job has no `history`.
        """
        from databuild.job.ranges import range_message, share_of

        share = share_of(usual)
        if not self.env.get("DATABUILD_TASK"):
            return True
        output = next((one for one in self.outputs if one.ref == ref), None) if ref else self.output
        if output is None:
            raise ValueError(f"{ref!r} is not an output of the run")
        passed, message = range_message(name, value, output.earlier(name), share)
        self.metric(name, value, ref=output.ref)
        return self.check(name, passed, severity=severity, ref=output.ref, message=message)

    def missing(self, ref: str) -> None:
        """Reports that the data of an input is not in its store. Then let the run end, with any exit code.

        The build makes the input, whatever was known of it, and runs the task again: once for each input.

        Args:
            ref: The input. It may be one that the job has not declared.
        """
        self._report("missing", {"ref": ref})

    def progress(self, fraction: float, message: str = "") -> None:
        """Reports the share of the work that is done, from 0 to 1. No display shows it yet."""
        self._report("progress", {"fraction": fraction, "message": message})

    def _report(self, kind: str, report: "Mapping[str, object]") -> None:
        if not self._report_path:
            return
        import json

        line = (json.dumps({kind: report}, allow_nan=False) + "\n").encode()
        # One write appends the whole line atomically, so that lines of several processes do not mix.
        descriptor = os.open(self._report_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)
