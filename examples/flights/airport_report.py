"""Delays by airport in a month, with and without rain."""

from collections.abc import Iterator, Sequence

from databuild.job import Config, Run, main
from examples.flights.paths import days, value


def config(refs: Sequence[str]) -> Iterator[Config]:
    """Returns one configuration per month. Its inputs are the delays of all days."""
    for ref in refs:
        month = value(ref)
        yield Config(outputs=[ref], materialize=[f"daily_delays/date={day}" for day in days(month)], args=[month])


def run(run: Run) -> None:
    from examples.flights.archive import archive_file
    from examples.flights.tables import connect, read_partitions, write_partition

    (month,) = run.args
    ref = f"airport_report/month={month}"
    airports = write_partition(
        run,
        connect(),
        ref,
        f"""SELECT '{month}' AS month, origin, name, count(*) AS flights, count_if(cancelled) AS cancelled,
                count_if(dep_delay >= 15) AS late, round(avg(dep_delay), 2) AS mean_delay,
                count(dep_delay) FILTER (precip > 0) AS wet_flights,
                round(avg(dep_delay) FILTER (precip > 0), 2) AS wet_mean_delay,
                count(dep_delay) FILTER (precip = 0) AS dry_flights,
                round(avg(dep_delay) FILTER (precip = 0), 2) AS dry_mean_delay
            FROM {read_partitions([f"daily_delays/date={day}" for day in days(month)])}
            LEFT JOIN read_csv('{archive_file("airports.csv")}') AS airports ON origin = faa
            GROUP BY origin, name ORDER BY origin""",
    )
    run.check("has_three_airports", airports == 3, ref=ref, message=f"{airports} airports in {month}")
    print(f"{airports} airports in {month}")


if __name__ == "__main__":
    main(config, run)
