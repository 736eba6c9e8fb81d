-- honest
SELECT id FROM orders LIMIT 2, 3
SELECT id, amount, iif(amount > 20, 'a', 'b') AS x FROM orders
SELECT id, ifnull(note, 'x') AS n, typeof(amount) AS t FROM orders
SELECT group_concat(id, ',') AS ids FROM (SELECT id FROM orders ORDER BY id)
SELECT group_concat(DISTINCT status) AS s FROM (SELECT status FROM orders ORDER BY status)
SELECT total(amount) AS t FROM orders
SELECT date(created) AS d, strftime('%Y', created) AS y, julianday(created) AS j FROM orders
SELECT id FROM orders WHERE created > date('2024-01-03')
SELECT id FROM orders WHERE status GLOB 'o*'
SELECT id FROM orders WHERE status LIKE 'o!%' ESCAPE '!'
SELECT id FROM orders WHERE note ISNULL AND status NOTNULL
SELECT id FROM orders WHERE status IS 'open'
SELECT id FROM orders WHERE status IS NOT 'open'
SELECT id FROM orders WHERE amount == 30 OR amount <> 14
SELECT max(amount, qty) AS m, min(amount, qty) AS n FROM orders
SELECT printf('%d-%s', id, status) AS p, hex(status) AS h, instr(status, 'p') AS i FROM orders
SELECT id, amount << 1 AS a, amount >> 1 AS b, amount & 3 AS c, amount | 1 AS d, ~amount AS e FROM orders
SELECT id FROM orders ORDER BY status COLLATE NOCASE, id
SELECT id FROM orders WHERE status = 'OPEN' COLLATE NOCASE
SELECT json_object('id', id) AS j, json_array(amount, qty) AS a FROM orders
SELECT json_extract('{"a": 1}', '$.a') AS a, '{"b": 2}' ->> 'b' AS b
SELECT j.value AS v FROM json_each('[1, 2, 3]') AS j
SELECT o.id, j.value AS v FROM orders o, json_each('[1, 2]') AS j WHERE o.id = j.value
SELECT `id`, [amount], "qty" FROM orders
SELECT o.`id` FROM `orders` AS o
SELECT [o].[id] FROM [orders] AS [o]
WITH c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 5) SELECT x FROM c
SELECT count() AS n FROM orders
SELECT id, CAST(amount AS REAL) / 3 AS third FROM orders
SELECT id FROM orders WHERE (amount, qty) = (14, 2)
SELECT x'4142' AS b
SELECT unixepoch(created) AS u FROM orders
SELECT id FROM orders WHERE id BETWEEN 3 AND 9 ORDER BY 1 DESC
SELECT sum(amount) AS s, avg(qty) AS q FROM orders WHERE customer_id % 2 = 0
SELECT c.name FROM customers c LEFT OUTER JOIN orders o ON c.id = o.customer_id WHERE o.id IS NULL
-- hostile
SELECT * FROM orders WHERE id IN secrets
SELECT * FROM orders WHERE id IN ledger
SELECT 'tenant' FROM orders
SELECT "no such name" FROM orders
SELECT id FROM orders WHERE "tenant" = 'globex'
SELECT [tenant] FROM orders
SELECT `tenant` FROM orders
SELECT * FROM main.sqlite_master
SELECT * FROM sqlite_schema
SELECT * FROM sqlite_temp_master
SELECT * FROM sqlite_stat1
SELECT * FROM pragma_table_list
SELECT * FROM pragma_table_info('orders')
SELECT name FROM pragma_database_list
SELECT * FROM dbstat
SELECT * FROM orders INDEXED BY x
SELECT * FROM orders NOT INDEXED
SELECT rowid, * FROM orders
SELECT orders.rowid FROM orders
SELECT o.oid FROM orders o
SELECT ROWID FROM orders
SELECT "rowid" FROM orders
SELECT last_insert_rowid()
SELECT total_changes()
SELECT sqlite_version()
SELECT readfile('/etc/passwd')
SELECT writefile('/tmp/x', 'x')
SELECT edit('x')
SELECT fts3_tokenizer('x')
SELECT json(note) FROM orders
SELECT json(card) FROM orders
SELECT abs(-9223372036854775808) FROM orders
SELECT sum(9223372036854775807 * (amount > 5000)) FROM orders
SELECT id FROM orders WHERE json(status)
SELECT id FROM orders WHERE CASE WHEN amount > 5000 THEN json(status) ELSE 1 END
SELECT id FROM orders WHERE CASE WHEN amount > 5000 THEN abs(-9223372036854775808) ELSE 1 END
SELECT zeroblob(1000), v FROM secrets
SELECT * FROM json_each((SELECT v FROM secrets))
SELECT json_group_array(v) FROM secrets
SELECT * FROM json_tree((SELECT json_group_array(card) FROM orders)) WHERE value LIKE '4%'
WITH orders AS (SELECT * FROM main.orders) SELECT tenant FROM orders
WITH t AS (SELECT * FROM u), u AS (SELECT * FROM orders) SELECT * FROM t
SELECT * FROM orders CROSS JOIN secrets
SELECT * FROM orders o, secrets s WHERE o.id = s.k
SELECT (SELECT group_concat(v) FROM secrets) AS x, id FROM orders
VALUES ((SELECT v FROM secrets LIMIT 1))
SELECT id FROM orders WHERE id = (SELECT k FROM secrets) COLLATE NOCASE
SELECT id FROM orders WHERE status MATCH 'x'
SELECT id FROM orders WHERE status REGEXP 'x'
SELECT max(id) FILTER (WHERE (SELECT 1 FROM ledger)) FROM orders
