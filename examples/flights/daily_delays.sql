-- Delays of one day: each flight with the weather at its airport and hour.
SELECT flights.date, carrier, flight, origin, dest, flights.time_hour, dep_delay, arr_delay,
    dep_time IS NULL AS cancelled, temp, wind_speed, precip, visib
FROM daily_flights AS flights
LEFT JOIN daily_weather AS weather USING (origin, time_hour)
ORDER BY flights.time_hour, carrier, flight, origin
