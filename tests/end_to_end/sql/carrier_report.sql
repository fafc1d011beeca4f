-- Delays of a week by airline. `date` comes from the refs of daily_delays.
WITH by_carrier AS (
    SELECT carrier, count(*) AS flights, round(avg(delay), 2) AS delay
    FROM daily_delays
    GROUP BY carrier
)
SELECT getvariable('week') AS first_day, name, flights, delay
FROM by_carrier JOIN airlines ON code = carrier
ORDER BY name;
