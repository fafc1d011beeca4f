SELECT product, count(*) AS orders, sum(amount) AS amount
FROM orders
WHERE CAST(ordered_at AS DATE) = getvariable('date')
GROUP BY product
ORDER BY product;
