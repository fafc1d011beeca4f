"""Delays by carrier in a month."""

from databuild.job import Run, main
from examples.flights.tables import archive_file, connect, table, write_partition


def run(run: Run) -> None:
    carriers = write_partition(
        run,
        connect(),
        run.output.ref,
        f"""SELECT '{run.output.field_texts["month"]}' AS month, carrier, name, count(*) AS flights,
                count_if(cancelled) AS cancelled, count_if(dep_delay >= 15) AS late,
                round(avg(dep_delay), 2) AS mean_delay, median(dep_delay) AS median_delay,
                quantile_cont(dep_delay, 0.9) AS slowest_tenth_delay
            FROM {table(run.inputs)} LEFT JOIN read_csv('{archive_file("airlines.csv")}') USING (carrier)
            GROUP BY carrier, name ORDER BY flights DESC, carrier""",
    )
    run.check("has_carriers", carriers > 0, ref=run.output.ref)


if __name__ == "__main__":
    main(run)
