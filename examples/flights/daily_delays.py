"""Delays of one day: each flight with the weather at its airport and hour."""

from databuild.job import Run, main
from examples.flights.tables import connect, table, write_partition


def run(run: Run) -> None:
    write_partition(
        run,
        connect(),
        run.output.ref,
        f"""SELECT flights.date, carrier, flight, origin, dest, flights.time_hour, dep_delay, arr_delay,
                dep_time IS NULL AS cancelled, temp, wind_speed, precip, visib
            FROM {table(run.inputs_of("daily_flights"))} AS flights
            LEFT JOIN {table(run.inputs_of("daily_weather"))} AS weather USING (origin, time_hour)
            ORDER BY flights.time_hour, carrier, flight, origin""",
    )


if __name__ == "__main__":
    main(run)
