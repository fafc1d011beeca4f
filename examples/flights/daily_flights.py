"""Flights of each day, unchanged from the archive.

Each run must unpack the whole archive, so one run produces all days of a month. It reports each partition when it is
complete.
"""

import tempfile
from collections.abc import Iterator, Sequence

from databuild.job import Config, Run, main
from examples.flights.paths import by_month, days


def config(refs: Sequence[str]) -> Iterator[Config]:
    """Returns one configuration per month, with all of its days.

    The configuration must not depend on the requested days, or a day would be rebuilt whenever the request differs.
    """
    for month in by_month(refs):
        yield Config(outputs=[f"daily_flights/date={day}" for day in days(month)], args=[month])


def run(run: Run) -> None:
    from examples.flights.archive import flights_csv
    from examples.flights.tables import connect, write_partition

    (month,) = run.args
    connection = connect()
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        file.write(flights_csv(month))
        file.flush()
        connection.execute(
            f"""CREATE TABLE flights AS
                SELECT make_date(year, month, day) AS date, * EXCLUDE (year, month, day)
                FROM read_csv('{file.name}', nullstr = 'NA', types = {{'time_hour': 'TIMESTAMP'}})"""
        )
    total = 0
    for number, day in enumerate(days(month), start=1):
        ref = f"daily_flights/date={day}"
        query = f"SELECT * FROM flights WHERE date = '{day}' ORDER BY time_hour, carrier, flight, origin"
        rows = write_partition(run, connection, ref, query)
        run.progress(number / len(days(month)), day)
        if not run.check("has_flights", rows > 0, ref=ref, message=f"{rows} flights left on {day}"):
            raise SystemExit(f"no flight left on {day}: the archive is incomplete")
        total += rows
    run.metric("rows_written", total)
    print(f"{total} flights in {month}")


if __name__ == "__main__":
    main(config, run)
