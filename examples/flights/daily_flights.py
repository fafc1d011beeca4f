"""Flights of each day, unchanged from the archive. One run unpacks the archive for all days of a month."""

import tempfile
import zipfile

from databuild.job import Run, main
from examples.flights.tables import archive_file, connect, write_partition


def run(run: Run) -> None:
    connection = connect()
    with zipfile.ZipFile(archive_file("flights.csv.zip")) as archive, tempfile.TemporaryDirectory() as folder:
        path = archive.extract(archive.namelist()[0], folder)
        connection.execute(
            f"""CREATE TABLE flights AS
                SELECT make_date(year, month, day) AS date, * EXCLUDE (year, month, day)
                FROM read_csv('{path}', nullstr = 'NA', types = {{'time_hour': 'TIMESTAMP'}})
                WHERE month = {run.outputs[0].fields.date.month}"""
        )
    for day in run.outputs:
        query = f"SELECT * FROM flights WHERE date = '{day.fields.date}' ORDER BY time_hour, carrier, flight, origin"
        rows = write_partition(run, connection, day.ref, query)
        run.check("has_flights", rows > 0, ref=day.ref, message=f"{rows} flights left on {day.fields.date}")
        # Compared with the days that were there before this run. Thanksgiving is a third below the days before it.
        run.check_range("rows", rows, usual="30%", severity="warning", ref=day.ref)


if __name__ == "__main__":
    main(run)
