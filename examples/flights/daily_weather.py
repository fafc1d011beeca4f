"""Hourly weather of each day at the three airports."""

from collections.abc import Iterator, Sequence

from databuild.job import Config, Run, main
from examples.flights.paths import by_month, days


def config(refs: Sequence[str]) -> Iterator[Config]:
    """Returns one configuration per month, with all of its days, as in daily_flights."""
    for month in by_month(refs):
        yield Config(outputs=[f"daily_weather/date={day}" for day in days(month)], args=[month])


def run(run: Run) -> None:
    from examples.flights.archive import archive_file
    from examples.flights.tables import connect, write_partition

    (month,) = run.args
    connection = connect()
    connection.execute(
        f"""CREATE TABLE weather AS
            SELECT make_date(year, month, day) AS date, * EXCLUDE (year, month, day)
            FROM read_csv('{archive_file("weather.csv")}', nullstr = 'NA', types = {{'time_hour': 'TIMESTAMP'}})
            WHERE strftime(make_date(year, month, day), '%Y-%m') = '{month}'"""
    )
    total = 0
    for day in days(month):
        ref = f"daily_weather/date={day}"
        query = f"SELECT * FROM weather WHERE date = '{day}' ORDER BY time_hour, origin"
        rows = write_partition(run, connection, ref, query)
        # The archive has gaps, such as 2013-12-31. Flights of that time have no weather, which is only a warning.
        message = f"{rows} of 72 hours and airports on {day}"
        run.check("weather_is_complete", rows >= 66, severity="warning", ref=ref, message=message)
        total += rows
    run.metric("rows_written", total)
    print(f"{total} hours of weather in {month}")


if __name__ == "__main__":
    main(config, run)
