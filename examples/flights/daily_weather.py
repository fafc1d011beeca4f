"""Hourly weather of each day at the three airports."""

from databuild.job import Run, main
from examples.flights.tables import archive_file, connect, write_partition


def run(run: Run) -> None:
    connection = connect()
    connection.execute(
        f"""CREATE TABLE weather AS
            SELECT make_date(year, month, day) AS date, * EXCLUDE (year, month, day)
            FROM read_csv('{archive_file("weather.csv")}', nullstr = 'NA', types = {{'time_hour': 'TIMESTAMP'}})"""
    )
    for day in run.outputs:
        query = f"SELECT * FROM weather WHERE date = '{day.fields.date}' ORDER BY time_hour, origin"
        rows = write_partition(run, connection, day.ref, query)
        # The archive has gaps, such as 2013-12-31. Flights of that time have no weather, which is only a warning.
        message = f"{rows} of 72 hours and airports on {day.fields.date}"
        run.check("weather_is_complete", rows >= 66, severity="warning", ref=day.ref, message=message)


if __name__ == "__main__":
    main(run)
