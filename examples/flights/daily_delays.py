"""Delays of one day: each flight with the weather at its airport and hour."""

from collections.abc import Iterator, Sequence

from databuild.job import Config, Run, main
from examples.flights.paths import value


def config(refs: Sequence[str]) -> Iterator[Config]:
    """Returns one configuration per day. Its inputs are the flights and the weather of the day."""
    for ref in refs:
        day = value(ref)
        yield Config(outputs=[ref], materialize=[f"daily_flights/date={day}", f"daily_weather/date={day}"], args=[day])


def run(run: Run) -> None:
    """Joins flights and weather by airport and hour."""
    from examples.flights.tables import connect, read_partitions, write_partition

    (day,) = run.args
    ref = f"daily_delays/date={day}"
    connection = connect()
    rows = write_partition(
        run,
        connection,
        ref,
        f"""SELECT flights.date, carrier, flight, origin, dest, flights.time_hour, dep_delay, arr_delay,
                dep_time IS NULL AS cancelled, temp, wind_speed, precip, visib
            FROM {read_partitions([f"daily_flights/date={day}"])} AS flights
            LEFT JOIN {read_partitions([f"daily_weather/date={day}"])} AS weather USING (origin, time_hour)
            ORDER BY flights.time_hour, carrier, flight, origin""",
    )
    run.metric("rows_written", rows)
    print(f"{rows} flights on {day}")


if __name__ == "__main__":
    main(config, run)
