"""A year as a table with one row per day, and as a chart."""

from databuild.job import Run, main
from examples.flights.picture import draw
from examples.flights.tables import connect, data_file, table, write_partition


def run(run: Run) -> None:
    connection = connect()
    connection.execute(
        f"""CREATE TABLE days AS
            SELECT date, count(*) AS flights, count_if(cancelled) AS cancelled, count_if(dep_delay >= 15) AS late,
                round(avg(dep_delay), 2) AS mean_delay
            FROM {table(run.inputs_of("daily_delays"))} GROUP BY date"""
    )
    connection.execute(
        f"""CREATE TABLE carriers AS
            SELECT name, sum(flights - cancelled) AS departed, sum(late) / sum(flights - cancelled) AS late_share
            FROM {table(run.inputs_of("carrier_report"))} GROUP BY name ORDER BY late_share"""
    )
    connection.execute(
        f"""CREATE TABLE airports AS
            SELECT name, sum(dry_mean_delay * dry_flights) / sum(dry_flights) AS dry,
                sum(wet_mean_delay * wet_flights) / sum(wet_flights) AS wet
            FROM {table(run.inputs_of("airport_report"))} GROUP BY name ORDER BY name"""
    )
    draw(connection, data_file(run, run.output.ref, "chart.png"))
    write_partition(run, connection, run.output.ref, "SELECT * FROM days ORDER BY date")


if __name__ == "__main__":
    main(run)
