"""A year as a table with one row per day, and as a chart."""

from collections.abc import Iterator, Sequence

from databuild.job import Config, Run, main
from examples.flights.paths import data_file, days, months, value


def config(refs: Sequence[str]) -> Iterator[Config]:
    """Returns one configuration. Its inputs are the delays of all days and the reports of all months."""
    for ref in refs:
        inputs = [f"daily_delays/date={day}" for month in months() for day in days(month)]
        inputs += [f"{report}/month={month}" for report in ("carrier_report", "airport_report") for month in months()]
        yield Config(outputs=[ref], materialize=inputs, args=[value(ref)])


def run(run: Run) -> None:
    from examples.flights.picture import draw
    from examples.flights.tables import connect, read_partitions, write_partition

    (year,) = run.args
    ref = f"year_summary/year={year}"
    connection = connect()
    daily = read_partitions([f"daily_delays/date={day}" for month in months() for day in days(month)])
    query = f"""SELECT date, count(*) AS flights, count_if(cancelled) AS cancelled, count_if(dep_delay >= 15) AS late,
            round(avg(dep_delay), 2) AS mean_delay FROM {daily} GROUP BY date ORDER BY date"""
    connection.execute(f"CREATE TABLE days AS {query}")
    carriers = read_partitions([f"carrier_report/month={month}" for month in months()])
    connection.execute(
        f"""CREATE TABLE carriers AS
            SELECT name, sum(flights - cancelled) AS departed, sum(late) / sum(flights - cancelled) AS late_share
            FROM {carriers} GROUP BY name ORDER BY late_share"""
    )
    airports = read_partitions([f"airport_report/month={month}" for month in months()])
    connection.execute(
        f"""CREATE TABLE airports AS
            SELECT name, sum(dry_mean_delay * dry_flights) / sum(dry_flights) AS dry,
                sum(wet_mean_delay * wet_flights) / sum(wet_flights) AS wet
            FROM {airports} GROUP BY name ORDER BY name"""
    )
    draw(connection, data_file(ref, ".png"))
    write_partition(run, connection, ref, "SELECT * FROM days ORDER BY date")
    print(f"wrote the chart of {year} to {data_file(ref, '.png')}")


if __name__ == "__main__":
    main(config, run)
