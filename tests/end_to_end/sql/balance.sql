-- Flights of each carrier since the first day.
SELECT carrier, CAST(sum(total) AS BIGINT) AS total
FROM (
    SELECT carrier, total FROM balance
    UNION ALL
    SELECT carrier, 1 FROM daily_delays
)
GROUP BY carrier
ORDER BY carrier
