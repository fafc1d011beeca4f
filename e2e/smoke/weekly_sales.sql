SELECT date, sum(amount) AS amount, sum(sum(amount)) OVER (ORDER BY date) AS amount_so_far
FROM daily_sales
GROUP BY date
ORDER BY date;
