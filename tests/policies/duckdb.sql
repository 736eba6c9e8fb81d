-- honest
FROM orders
FROM orders SELECT id, amount WHERE amount > 10
FROM orders o JOIN customers c ON o.customer_id = c.id SELECT o.id, c.name
SELECT * EXCLUDE (card) FROM orders
SELECT * EXCLUDE (card, note) FROM orders
SELECT * REPLACE (amount * 2 AS amount) FROM orders
SELECT * EXCLUDE (note) REPLACE (upper(status) AS status) FROM orders
SELECT COLUMNS('c.*') FROM orders
SELECT COLUMNS(*) FROM orders
SELECT min(COLUMNS(*)) FROM orders
SELECT id, row_number() OVER (PARTITION BY customer_id ORDER BY id) AS r FROM orders QUALIFY r = 1
SELECT id FROM orders QUALIFY row_number() OVER (PARTITION BY customer_id ORDER BY amount DESC, id) = 1
SELECT customer_id, sum(amount) AS total FROM orders GROUP BY ALL ORDER BY ALL
SELECT DISTINCT ON (customer_id) customer_id, id FROM orders ORDER BY customer_id, id
SELECT * FROM orders PIVOT (sum(amount) FOR status IN ('open', 'closed')) ORDER BY id
SELECT * FROM (SELECT customer_id, status, amount FROM orders) PIVOT (sum(amount) FOR status IN ('open', '1')) AS p
SELECT * FROM (SELECT id, amount, qty FROM orders) UNPIVOT (v FOR n IN (amount, qty)) AS u
SELECT id, list(amount) AS l FROM orders GROUP BY id
SELECT customer_id, list(amount ORDER BY id) AS l FROM orders GROUP BY customer_id
SELECT customer_id, string_agg(status, ',' ORDER BY id) AS s FROM orders GROUP BY customer_id
SELECT id, [amount, qty] AS pair, [amount, qty][1] AS first FROM orders
SELECT id, {'a': amount, 'q': qty} AS s FROM orders
SELECT id, {'a': amount}.a AS a FROM orders
SELECT list_transform([1, 2, 3], lambda x: x + 1) AS l
SELECT [x * 2 FOR x IN [1, 2, 3] IF x > 1] AS l
SELECT unnest([1, 2, 3]) AS x
SELECT o.id, u.x FROM orders o, unnest([1, 2]) AS u(x)
SELECT id, unnest([amount, qty]) AS v FROM orders
SELECT * FROM range(5) AS r(i)
SELECT g.i, o.id FROM generate_series(1, 5) AS g(i) LEFT JOIN orders o ON o.id = g.i
SELECT id FROM orders SEMI JOIN customers ON orders.customer_id = customers.id
SELECT id FROM orders ANTI JOIN customers ON orders.customer_id = customers.id
SELECT o.id, c.name FROM orders o ASOF JOIN customers c ON o.customer_id >= c.id
SELECT id FROM orders UNION BY NAME SELECT id, name FROM customers
SELECT id, created::DATE AS d, date_trunc('month', created::DATE) AS m FROM orders
SELECT extract(year FROM created::DATE) AS y, date_part('day', created::DATE) AS d FROM orders
SELECT created::DATE + INTERVAL 1 DAY AS next, created::DATE - INTERVAL '1 month' AS before FROM orders
SELECT id, amount / 2 AS half, amount // 2 AS whole, amount ^ 2 AS square FROM orders
SELECT id, amount::VARCHAR || 'x' AS s, try_cast(status AS INT) AS t FROM orders
SELECT id FROM orders WHERE status ILIKE 'OP%' AND regexp_matches(status, '^o')
SELECT id FROM orders WHERE status SIMILAR TO 'o.*'
SELECT id, if(amount > 20, 'a', 'b') AS x, greatest(amount, qty) AS g, least(amount, qty) AS l FROM orders
SELECT median(amount) AS m, quantile_cont(amount, 0.5) AS q, mode(customer_id) AS o, stddev(amount) AS s FROM orders
SELECT arg_max(id, amount) AS best, arg_min(id, amount) AS worst FROM (SELECT id, amount FROM orders WHERE id < 9)
SELECT customer_id, count(*) AS n FROM orders GROUP BY ROLLUP (customer_id)
SELECT customer_id, status, count(*) AS n FROM orders GROUP BY CUBE (customer_id, status)
SELECT customer_id, status, count(*) AS n, grouping(status) AS g FROM orders GROUP BY GROUPING SETS ((customer_id), (status), ())
SELECT * FROM orders ORDER BY amount DESC NULLS LAST, id
SELECT * FROM orders ORDER BY note NULLS FIRST, id LIMIT 2
SELECT id FROM orders WHERE amount = ANY (SELECT amount FROM orders WHERE qty > 1)
SELECT id FROM orders WHERE amount >= ALL (SELECT amount FROM orders)
SELECT o.id, x.n FROM orders o, LATERAL (SELECT count(*) AS n FROM customers c WHERE c.id = o.customer_id) x
SELECT o.id, x.name FROM orders o LEFT JOIN LATERAL (SELECT name FROM customers c WHERE c.id = o.customer_id) x ON TRUE
SELECT orders FROM orders
SELECT id AS a, a + 1 AS b FROM orders
SELECT id FROM orders WHERE status IS NOT DISTINCT FROM 'open'
SELECT strftime(created::DATE, '%Y-%m') AS m, count(*) AS n FROM orders GROUP BY m
SELECT json_object('id', id) AS j FROM orders
SELECT ('{"a": 1}'::JSON)->>'a' AS a
SELECT sum(amount) AS s FROM orders HAVING count(*) > 1
WITH a AS MATERIALIZED (SELECT * FROM orders) SELECT count(*) AS n FROM a
TABLE orders
SELECT id FROM orders WHERE NOT note IS NULL
SELECT NOT status IS NULL AS a, NOT qty IS NOT NULL AS b, NOT (note IS NULL) AS c FROM orders
SELECT id FROM orders WHERE NOT (amount > 5) IS TRUE
SELECT id, (amount > 5) IS NOT TRUE AS a, NOT (amount > 5) IS NOT FALSE AS b FROM orders
PIVOT orders ON status IN ('open', 'closed') USING sum(amount)
PIVOT orders ON status IN ('open', 'closed') USING sum(amount) GROUP BY customer_id
PIVOT orders ON status IN ('open', '1'), qty IN (1, 2) USING sum(amount) AS s, count(*) AS n GROUP BY customer_id
PIVOT (SELECT customer_id, status, amount FROM orders) ON status IN ('open') USING max(amount)
WITH x AS (SELECT status, amount FROM orders) PIVOT x ON status IN ('open') USING sum(amount)
SELECT id, ~ id AS a FROM orders WHERE status ~ 'o.*' AND status !~ 'cl.*'
SELECT $$it's$$ AS a, $q$two $$ of them$q$ AS b, id FROM orders WHERE status = $$open$$
SELECT E'it\'s\t\x41\101' AS a, E'o' || 'pen' AS b FROM orders WHERE status <> E'cl\x6fsed'
DESCRIBE orders
DESCRIBE {schema}.customers
DESC "Odd Name"
DESCRIBE SELECT id, card FROM orders
SUMMARIZE orders
SUMMARIZE SELECT card, note FROM orders
DESCRIBE FROM customers c JOIN orders o ON o.customer_id = c.id
SELECT x FROM (SELECT (SELECT max(amount) FROM orders)) AS x
SELECT to_json(x) FROM (SELECT (SELECT max(email) FROM customers)) AS x
SELECT {'a': (SELECT max(amount) FROM orders)}
SELECT row((SELECT max(amount) FROM orders))
FROM customers SELECT (SELECT max(amount) FROM orders), count(*) FILTER (WHERE id IN (SELECT id FROM orders))
SELECT ARRAY(SELECT id FROM orders ORDER BY id)
DESCRIBE SELECT (SELECT max(email) FROM customers)
SUMMARIZE SELECT (SELECT max(amount) FROM orders)
SELECT max(id) OVER (ORDER BY (SELECT 1 FROM orders LIMIT 1)) FROM orders
SELECT id, (SELECT max(amount) FROM orders) FROM orders GROUP BY ALL
-- hostile
FROM secrets
FROM secrets SELECT v
FROM (FROM secrets)
FROM orders SELECT tenant
SELECT * EXCLUDE (id) FROM secrets
SELECT * EXCLUDE (tenant) FROM orders
SELECT * REPLACE (tenant AS status) FROM orders
SELECT COLUMNS('tenant') FROM orders
SELECT COLUMNS('ten.*') FROM orders
SELECT COLUMNS(c -> c LIKE '%ten%') FROM orders
SELECT COLUMNS(lambda c: c LIKE '%ten%') FROM orders
SELECT max(COLUMNS(*)) FROM secrets
PIVOT secrets ON k USING max(v)
PIVOT orders ON tenant USING sum(amount)
SELECT * FROM orders PIVOT (sum(amount) FOR tenant IN ('globex'))
SELECT * FROM secrets UNPIVOT (x FOR y IN (v))
SELECT * FROM orders UNPIVOT (x FOR y IN (tenant))
SELECT * FROM orders POSITIONAL JOIN secrets
SELECT * FROM orders ASOF JOIN secrets ON orders.id >= secrets.k
SELECT * FROM orders SEMI JOIN secrets ON TRUE
SELECT id FROM orders ANTI JOIN ledger ON orders.id = ledger.id
SELECT id FROM orders UNION BY NAME SELECT * FROM secrets
SELECT id FROM orders QUALIFY row_number() OVER (ORDER BY tenant) = 1
SELECT * FROM orders USING SAMPLE 10
SELECT * FROM duckdb_tables()
SELECT * FROM duckdb_columns
SELECT * FROM pragma_table_info('secrets')
SELECT * FROM memory.main.secrets
SELECT * FROM memory.orders
SELECT * FROM main.main.orders
SELECT list(v) FROM secrets
SELECT unnest((SELECT list(v) FROM secrets))
SELECT * FROM unnest((SELECT list(v) FROM secrets))
SELECT [x FOR x IN (SELECT list(v) FROM secrets)]
SELECT list_transform([1], lambda x: (SELECT max(v) FROM secrets))
SELECT {'a': (SELECT max(v) FROM secrets)}
SELECT orders.tenant.x FROM orders
SELECT (orders).tenant FROM orders
SELECT orders['tenant'] FROM orders
SELECT struct_extract(orders, 'tenant') FROM orders
SELECT row_to_json(orders) FROM orders
SELECT id.tenant FROM orders AS id
SELECT getvariable('x')
SELECT * FROM getenv('HOME')
SELECT * FROM glob('*')
SELECT * FROM sniff_csv('x.csv')
SELECT * FROM 'orders'
SELECT * FROM "orders.csv"
SELECT query('SELECT 1')
SELECT json_serialize_sql('SELECT * FROM secrets')
SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT * FROM secrets'))
SELECT nextval('s')
SELECT main.all_amounts()
SELECT id FROM orders WHERE error('x')
SELECT error(card) FROM orders
SELECT 'secrets'.all_amounts()
SELECT status.upper() FROM orders
SELECT aggregate(list(v), 'max') FROM secrets
SELECT * FROM orders AT (VERSION => 1)
SELECT id FROM orders WHERE rowid > 0
SELECT has_table_privilege('secrets', 'select')
SELECT current_schemas(true)
SELECT enum_range(NULL::secrets)
SELECT CAST('x' AS secrets)
CALL pragma_table_info('secrets')
DESCRIBE secrets
SUMMARIZE secrets
DESCRIBE ledger
SUMMARIZE ledger
DESCRIBE all_orders
SUMMARIZE all_orders
DESCRIBE memory.main.orders
DESCRIBE
DESCRIBE tables
DESCRIBE duckdb_tables()
SUMMARIZE SELECT tenant FROM orders
SUMMARIZE SELECT v FROM secrets
DESCRIBE SELECT * FROM (SUMMARIZE secrets)
DESCRIBE orders, secrets
SUMMARIZE orders UNION SELECT * FROM secrets
DESCRIBE DESCRIBE secrets
SELECT * FROM (DESCRIBE secrets)
SELECT * FROM (SUMMARIZE orders)
DESCRIBE 'orders'
SUMMARIZE TABLE orders
SUMMARIZE orders; SELECT * FROM secrets
PIVOT secrets ON v IN ('a') USING sum(k)
PIVOT orders ON status IN (SELECT v FROM secrets) USING sum(amount)
PIVOT orders ON status IN ('open') USING sum((SELECT k FROM secrets))
PIVOT orders ON tenant IN ('acme', 'globex') USING sum(amount)
PIVOT (SELECT * FROM secrets) ON v IN ('a') USING sum(k)
WITH orders AS (SELECT * FROM secrets) PIVOT orders ON v IN ('a') USING sum(k)
PIVOT ledger ON tenant IN ('acme') USING sum(amount) GROUP BY id
UNPIVOT secrets ON k INTO NAME n VALUE x
SELECT $$x$$, v FROM secrets -- $$
SELECT $a$ FROM orders $a$, k FROM secrets
SELECT E'\' FROM orders -- ', v FROM secrets
SELECT E'a\'', (SELECT v FROM secrets LIMIT 1), '' FROM orders
SELECT alias((SELECT max(email) FROM customers))
SELECT alias(email) FROM customers
SELECT COLUMNS(*) = (SELECT max(email) FROM customers) FROM orders
