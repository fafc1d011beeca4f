-- Delays by airport in a month, with and without rain.
SELECT getvariable('month') AS month, origin, name, count(*) AS flights, count_if(cancelled) AS cancelled,
    count(*) FILTER (dep_delay >= 15) AS late, round(avg(dep_delay), 2) AS mean_delay,
    count(dep_delay) FILTER (precip > 0) AS wet_flights,
    round(avg(dep_delay) FILTER (precip > 0), 2) AS wet_mean_delay,
    count(dep_delay) FILTER (precip = 0) AS dry_flights,
    round(avg(dep_delay) FILTER (precip = 0), 2) AS dry_mean_delay
FROM daily_delays
LEFT JOIN airports ON origin = faa
GROUP BY origin, name
ORDER BY origin
