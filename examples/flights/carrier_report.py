"""Delays by carrier in a month."""

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
    ref = f"carrier_report/month={month}"
    carriers = write_partition(
        run,
        connect(),
        ref,
        f"""SELECT '{month}' AS month, carrier, name, count(*) AS flights, count_if(cancelled) AS cancelled,
                count_if(dep_delay >= 15) AS late, round(avg(dep_delay), 2) AS mean_delay,
                median(dep_delay) AS median_delay, quantile_cont(dep_delay, 0.9) AS slowest_tenth_delay
            FROM {read_partitions([f"daily_delays/date={day}" for day in days(month)])}
            LEFT JOIN read_csv('{archive_file("airlines.csv")}') USING (carrier)
            GROUP BY carrier, name ORDER BY flights DESC, carrier""",
    )
    run.check("has_carriers", carriers > 0, ref=ref, message=f"{carriers} carriers flew in {month}")
    print(f"{carriers} carriers in {month}")


if __name__ == "__main__":
    main(config, run)
