-- Delays by carrier in a month.
SELECT getvariable('month') AS month, carrier, name, count(*) AS flights, count_if(cancelled) AS cancelled,
    count(*) FILTER (dep_delay >= 15) AS late, round(avg(dep_delay), 2) AS mean_delay, median(dep_delay) AS median_delay,
    quantile_cont(dep_delay, 0.9) AS slowest_tenth_delay
FROM daily_delays
LEFT JOIN airlines USING (carrier)
GROUP BY carrier, name
ORDER BY flights DESC, carrier
