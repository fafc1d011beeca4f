"""Delays by airport in a month, with and without rain."""

from databuild.job import Run, main
from examples.flights.tables import archive_file, connect, table, write_partition


def run(run: Run) -> None:
    airports = write_partition(
        run,
        connect(),
        run.output.ref,
        f"""SELECT '{run.output.field_texts["month"]}' AS month, origin, name, count(*) AS flights,
                count_if(cancelled) AS cancelled, count_if(dep_delay >= 15) AS late,
                round(avg(dep_delay), 2) AS mean_delay,
                count(dep_delay) FILTER (precip > 0) AS wet_flights,
                round(avg(dep_delay) FILTER (precip > 0), 2) AS wet_mean_delay,
                count(dep_delay) FILTER (precip = 0) AS dry_flights,
                round(avg(dep_delay) FILTER (precip = 0), 2) AS dry_mean_delay
            FROM {table(run.inputs)} LEFT JOIN read_csv('{archive_file("airports.csv")}') AS airports ON origin = faa
            GROUP BY origin, name ORDER BY origin""",
    )
    run.check("has_three_airports", airports == 3, ref=run.output.ref)


if __name__ == "__main__":
    main(run)
