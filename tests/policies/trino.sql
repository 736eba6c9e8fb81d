-- honest
SELECT * FROM memory.{schema}.orders
SELECT o.id FROM memory.{schema}.orders AS o
SELECT id, CAST(amount AS varchar) AS a, CAST(amount AS bigint) AS b, CAST(amount AS double) / 2 AS c FROM orders
SELECT id, CAST(amount AS decimal(10, 2)) AS d, CAST(amount AS varchar(3)) AS v FROM orders
SELECT id, TRY_CAST(status AS integer) AS s FROM orders
SELECT id, status || '-' || CAST(id AS varchar) AS label FROM orders
SELECT id, if(amount > 50, 'big', 'small') AS size FROM orders
SELECT id, concat(status, '/', card) AS c, strpos(status, 'p') AS p, substr(status, 1, 2) AS s FROM orders
SELECT id, substring(status, 1, 2) AS s, reverse(status) AS r, lpad(status, 8, '*') AS l FROM orders
SELECT id, split(created, '-')[1] AS y, split_part(created, '-', 2) AS m FROM orders
SELECT id, date(created) AS d, year(date(created)) AS y, date_trunc('month', date(created)) AS m FROM orders
SELECT id, CAST(created AS date) + INTERVAL '1' DAY AS d FROM orders
SELECT id, date_add('day', 2, CAST(created AS date)) AS d, date_diff('day', DATE '2024-01-01', CAST(created AS date)) AS n FROM orders
SELECT id FROM orders WHERE CAST(created AS date) >= DATE '2024-01-03'
SELECT id FROM orders WHERE CAST(created AS timestamp) < TIMESTAMP '2024-01-05 12:00:00'
SELECT EXTRACT(YEAR FROM CAST(created AS date)) AS y, count(*) AS n FROM orders GROUP BY 1
SELECT id, date_format(CAST(created AS timestamp), '%Y-%m') AS m FROM orders
SELECT count_if(status = 'open') AS n, max_by(id, amount) AS top, min_by(id, amount) AS low FROM orders
SELECT approx_distinct(customer_id) AS n, approx_percentile(amount, 0.5) AS m FROM orders
SELECT array_agg(id ORDER BY id) AS ids FROM orders
SELECT customer_id, array_agg(id ORDER BY id DESC) AS ids FROM orders GROUP BY customer_id
SELECT listagg(CAST(id AS varchar), ',') WITHIN GROUP (ORDER BY id) AS ids FROM orders
SELECT array_join(array_agg(status ORDER BY id), ';') AS s FROM orders
SELECT histogram(status) AS h FROM orders
SELECT map_agg(id, amount) AS m FROM orders WHERE id < 5
SELECT id, ARRAY[id, amount][1] AS f, cardinality(ARRAY[1, 2, 3]) AS n FROM orders
SELECT id, element_at(MAP(ARRAY['a', 'b'], ARRAY[id, amount]), 'b') AS v FROM orders
SELECT id, transform(ARRAY[id, amount], x -> x + 1) AS t FROM orders
SELECT id, filter(ARRAY[id, amount], x -> x > 5) AS t FROM orders
SELECT id, reduce(ARRAY[id, amount], 0, (s, x) -> s + x, s -> s) AS t FROM orders
SELECT id, any_match(ARRAY[id], x -> x = 4) AS m FROM orders
SELECT id, CAST(ROW(id, status) AS ROW(a integer, b varchar)).b AS b FROM orders
SELECT o.id, u.x FROM orders o CROSS JOIN UNNEST(ARRAY[1, 2]) AS u(x)
SELECT o.id, u.x, u.n FROM orders o CROSS JOIN UNNEST(ARRAY[o.qty, o.amount]) WITH ORDINALITY AS u(x, n)
SELECT o.id, x FROM orders o, UNNEST(sequence(1, o.qty)) AS u(x)
SELECT o.id, x FROM orders o LEFT JOIN UNNEST(ARRAY[o.qty]) AS u(x) ON TRUE
SELECT x FROM UNNEST(ARRAY[3, 4]) AS t(x)
SELECT a, b FROM UNNEST(ARRAY[1, 2], ARRAY['x', 'y']) AS t(a, b)
SELECT o.id, l.n FROM orders o CROSS JOIN LATERAL (SELECT o.qty + 1 AS n) AS l
SELECT id FROM orders ORDER BY id OFFSET 2 LIMIT 3
SELECT id FROM orders ORDER BY id OFFSET 2 ROWS LIMIT 3
SELECT id FROM orders ORDER BY id FETCH FIRST 3 ROWS ONLY
SELECT id FROM orders ORDER BY amount FETCH FIRST 2 ROWS WITH TIES
SELECT id FROM orders ORDER BY id LIMIT ALL
SELECT id FROM orders ORDER BY note NULLS FIRST, id DESC NULLS LAST
SELECT status, customer_id, sum(amount) AS s FROM orders GROUP BY ROLLUP (status, customer_id)
SELECT status, customer_id, sum(amount) AS s, grouping(status) AS g FROM orders GROUP BY CUBE (status, customer_id)
SELECT status, customer_id, count(*) AS n FROM orders GROUP BY GROUPING SETS ((status), (customer_id), ())
SELECT id, sum(amount) OVER (PARTITION BY status ORDER BY id RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS s FROM orders
SELECT id, nth_value(amount, 2) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS s FROM orders
SELECT id, percent_rank() OVER (ORDER BY amount, id) AS p, cume_dist() OVER (ORDER BY amount, id) AS c FROM orders
SELECT id FROM orders WHERE amount IS DISTINCT FROM 42
SELECT id FROM orders WHERE amount IS NOT DISTINCT FROM 42
SELECT id FROM orders WHERE status LIKE 'o\_en' ESCAPE '\'
SELECT id FROM orders WHERE regexp_like(status, '^op') AND regexp_replace(status, 'o', '0') <> 'x'
SELECT id FROM orders WHERE amount > ALL (SELECT salary / 1000 FROM customers)
SELECT id FROM orders WHERE customer_id = ANY (SELECT id FROM customers)
SELECT id FROM orders INTERSECT SELECT customer_id FROM orders
SELECT id FROM orders EXCEPT ALL SELECT id FROM customers
SELECT json_extract_scalar('{"a": "x"}', '$.a') AS a, json_format(CAST(id AS json)) AS j FROM orders
SELECT id, coalesce(note, card, 'x') AS c, nullif(status, 'open') AS n, try(1 / qty) AS t FROM orders
SELECT id, round(CAST(amount AS double) / 7, 2) AS r, mod(amount, 7) AS m, power(qty, 2) AS p FROM orders
SELECT id, format_number(amount) AS f, to_hex(md5(to_utf8(status))) AS h FROM orders
SELECT c.name, t.total FROM customers c JOIN (SELECT customer_id, sum(amount) AS total FROM orders GROUP BY customer_id) t ON t.customer_id = c.id
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4) SELECT o.id FROM orders o JOIN n ON n.i = o.id
WITH orders AS (SELECT * FROM orders WHERE qty = 2) SELECT count(*) FROM orders
WITH "Big" AS (SELECT id FROM orders WHERE amount > 20) SELECT id FROM big
SELECT "ID", "Amount" FROM "ORDERS"
SELECT "o"."id" AS "Order Id" FROM "orders" AS "o"
SELECT id FROM orders WHERE created BETWEEN '2024-01-02' AND '2024-01-06' AND status IN ('open')
SELECT 'it''s' AS a, 'back\slash' AS b, '--' AS c, '/*' AS d
SELECT max(x) AS m FROM (VALUES 1, 2) AS t(x)
SELECT x, y FROM (VALUES (1, 'a'), (2, 'b')) AS t(x, y) WHERE x > 1
SELECT width_bucket(amount, 0, 100, 5) AS b, count(*) AS n FROM orders GROUP BY 1 ORDER BY 1
SELECT bool_and(qty >= 0) AS a, bool_or(qty > 2) AS b, every(id > 0) AS c, arbitrary(1) AS d FROM orders
SELECT checksum(id) AS c FROM orders
SELECT sum(amount) FILTER (WHERE qty > 1) AS s, count(*) AS n FROM orders
SELECT DISTINCT status, qty FROM orders ORDER BY status, qty LIMIT 3
SELECT o.id FROM orders o FULL OUTER JOIN customers c ON c.id = o.customer_id WHERE o.id IS NOT NULL
-- hostile
SELECT * FROM memory.{schema}.secrets
SELECT * FROM "memory"."{schema}"."SECRETS"
SELECT * FROM tpch.tiny.orders
SELECT * FROM tpch.{schema}.orders
SELECT * FROM tiny.orders
SELECT * FROM memory.{schema}.ledger
SELECT memory.{schema}.orders.tenant FROM memory.{schema}.orders
SELECT memory.{schema}.orders.id FROM memory.{schema}.orders
SELECT * FROM "orders$partitions"
SELECT * FROM "orders$files"
SELECT * FROM "orders$properties"
SELECT * FROM memory.{schema}."orders$history"
SELECT "$path" FROM orders
SELECT "$row_id", "$partition" FROM orders
SELECT * FROM orders FOR VERSION AS OF 1
SELECT * FROM orders FOR TIMESTAMP AS OF TIMESTAMP '2024-01-01 00:00:00'
SELECT * FROM secrets FOR VERSION AS OF 1
SELECT * FROM orders TABLESAMPLE BERNOULLI (100)
SELECT * FROM orders TABLESAMPLE SYSTEM (100)
SELECT * FROM TABLE(system.query(query => 'SELECT * FROM secrets'))
SELECT * FROM TABLE(memory.system.query('SELECT 1'))
SELECT * FROM TABLE(sequence(1, 3))
SELECT * FROM TABLE(sequence(start => 1, stop => (SELECT max(k) FROM secrets)))
SELECT * FROM TABLE(exclude_columns(input => TABLE(secrets), columns => DESCRIPTOR(k)))
SELECT * FROM TABLE(exclude_columns(TABLE(orders), DESCRIPTOR(id)))
SELECT * FROM TABLE(secrets)
SELECT * FROM orders MATCH_RECOGNIZE (ORDER BY id MEASURES A.tenant AS t ONE ROW PER MATCH PATTERN (A) DEFINE A AS TRUE)
SELECT * FROM secrets MATCH_RECOGNIZE (PATTERN (A) DEFINE A AS TRUE)
WITH FUNCTION leak() RETURNS varchar RETURN 'x' SELECT leak()
WITH FUNCTION lower(x varchar) RETURNS varchar RETURN x SELECT email FROM customers
WITH FUNCTION f(x varchar) RETURNS varchar BEGIN RETURN x; END SELECT * FROM orders
WITH SESSION query_max_run_time = '1h' SELECT * FROM orders
SELECT * FROM JSON_TABLE('[]', 'lax $' COLUMNS (a varchar PATH 'lax $'))
SELECT * FROM JSON_TABLE((SELECT max(v) FROM secrets), 'lax $' COLUMNS (a varchar PATH 'lax $'))
SELECT x FROM UNNEST((SELECT array_agg(v) FROM secrets)) AS t(x)
SELECT x FROM UNNEST(ARRAY[(SELECT max(v) FROM secrets)]) AS t(x)
SELECT x FROM orders CROSS JOIN UNNEST((SELECT array_agg(amount) FROM ledger)) AS t(x)
SELECT x FROM orders CROSS JOIN UNNEST(ARRAY[tenant]) AS t(x)
SELECT x FROM orders, UNNEST(ARRAY[orders.tenant]) AS t(x)
SELECT x FROM UNNEST(secrets) AS t(x)
SELECT * FROM orders CROSS JOIN LATERAL (SELECT * FROM secrets) AS s
SELECT * FROM orders CROSS JOIN LATERAL (SELECT orders.tenant) AS s
SELECT * FROM orders o CROSS JOIN LATERAL (SELECT o.tenant AS x) AS s
SELECT * FROM (VALUES (SELECT max(v) FROM secrets)) AS t(x)
SELECT * FROM (VALUES ((SELECT max(v) FROM secrets))) AS t(x)
VALUES (SELECT max(v) FROM secrets)
VALUES ((SELECT count(*) FROM ledger))
TABLE orders
TABLE memory.{schema}.secrets
SELECT * FROM (TABLE secrets)
SELECT * FROM (TABLE orders)
SELECT id FROM orders WHERE id IN (TABLE single)
SELECT id FROM orders UNION ALL TABLE single
WITH x AS (TABLE secrets) SELECT * FROM x
SELECT ROW((SELECT max(v) FROM secrets))
SELECT (SELECT ROW(k, v) FROM secrets LIMIT 1)
SELECT CAST((SELECT ROW(k, v) FROM secrets LIMIT 1) AS ROW(a integer, b varchar)).b
SELECT ARRAY[(SELECT max(v) FROM secrets)]
SELECT MAP(ARRAY['a'], ARRAY[(SELECT max(v) FROM secrets)])
SELECT transform(ARRAY[1], x -> (SELECT max(v) FROM secrets))
SELECT transform(ARRAY[1], x -> tenant) FROM orders
SELECT filter(ARRAY['globex'], x -> x = tenant) FROM orders
SELECT reduce(ARRAY[1], 0, (s, x) -> s + amount, s -> CAST(tenant AS integer)) FROM orders
SELECT orders.* FROM secrets AS orders
SELECT secrets.* FROM orders
SELECT o.tenant.x FROM orders o
SELECT (o).tenant FROM orders o
SELECT ROW(o.*) FROM orders o
SELECT (o.*) FROM orders o
SELECT count(tenant) FROM orders
SELECT approx_distinct(tenant) FROM orders
SELECT array_agg(tenant) FROM orders
SELECT array_agg(id ORDER BY tenant) FROM orders
SELECT listagg(tenant, ',') WITHIN GROUP (ORDER BY id) FROM orders
SELECT listagg(CAST(id AS varchar), ',') WITHIN GROUP (ORDER BY tenant) FROM orders
SELECT max_by(id, tenant) FROM orders
SELECT sum(amount) FILTER (WHERE tenant = 'globex') FROM orders
SELECT sum(amount) OVER (PARTITION BY tenant) FROM orders
SELECT sum(amount) OVER w FROM orders WINDOW w AS (PARTITION BY tenant)
SELECT sum(amount) OVER w FROM orders WINDOW w AS (ORDER BY (SELECT max(v) FROM secrets))
SELECT grouping(tenant) FROM orders GROUP BY CUBE (tenant)
SELECT id FROM orders GROUP BY GROUPING SETS ((id, tenant))
SELECT id FROM orders ORDER BY tenant OFFSET 1 LIMIT 3
SELECT id FROM orders ORDER BY (SELECT max(v) FROM secrets) FETCH FIRST 1 ROWS WITH TIES
SELECT id FROM orders WHERE tenant IS DISTINCT FROM 'acme'
SELECT id FROM orders WHERE id = ANY (TABLE single)
SELECT id FROM orders WHERE id > ALL (SELECT k FROM secrets)
SELECT id FROM orders WHERE id = SOME (SELECT k FROM single)
SELECT id FROM orders WHERE (id, 'x') IN (SELECT k, v FROM secrets)
SELECT id FROM orders WHERE try(1 / (amount - 9999)) IS NULL
SELECT id FROM orders WHERE 1 / (amount - 9999) < 5
SELECT id FROM orders WHERE CAST(status AS integer) IS NULL
SELECT id FROM customers WHERE 1 / (salary - 3702) < 5
SELECT id FROM customers WHERE CAST(name AS integer) > 0 OR region = 'us'
SELECT fail('SECRET') FROM orders WHERE amount = 9999
SELECT if(amount = 9999, fail('SECRET'), 1) FROM orders
SELECT CASE WHEN amount = 9999 THEN 1 / 0 ELSE 1 END FROM orders
SELECT o.id FROM orders o JOIN customers c ON c.id = o.customer_id AND 1 / (o.amount - 9999) < 9
SELECT sum(1 / (amount - 9999)) FROM orders
SELECT id FROM orders WHERE element_at(ARRAY[1], amount - 9998) IS NULL
SELECT ARRAY[1][amount - 9998] FROM orders WHERE amount > 5000
SELECT current_user
SELECT current_catalog
SELECT current_schema
SELECT current_path
SELECT current_groups()
SELECT version()
SELECT node_id FROM system.runtime.nodes
SELECT * FROM system.metadata.catalogs
SELECT * FROM system.metadata.table_comments
SELECT * FROM system.jdbc.tables
SELECT * FROM system.runtime.queries
SELECT * FROM memory.information_schema.tables
SELECT * FROM information_schema.columns WHERE table_name = 'orders'
SELECT * FROM "information_schema"."tables"
SELECT * FROM memory."INFORMATION_SCHEMA".views
SHOW TABLES FROM memory.{schema}
SHOW COLUMNS FROM orders
SHOW CREATE TABLE orders
SHOW STATS FOR orders
SHOW CATALOGS
DESCRIBE memory.{schema}.orders
DESC orders
EXPLAIN (TYPE IO) SELECT * FROM secrets
EXECUTE IMMEDIATE 'SELECT * FROM secrets'
EXECUTE x
CALL system.runtime.kill_query('x')
USE memory.{schema}
SET SESSION x = 1
PREPARE x FROM SELECT 1
REFRESH MATERIALIZED VIEW x
SELECT * FROM U&"secrets"
SELECT * FROM U&"\0073ecrets"
SELECT * FROM `secrets`
SELECT "a"" FROM secrets --" FROM orders
SELECT '\' FROM secrets --' FROM orders
SELECT id /* /* */ FROM secrets -- */ FROM orders
SELECT id --/* FROM orders
SELECT X'41', v FROM secrets
SELECT U&'\0061', v FROM secrets
SELECT id FROM orders WHERE U&'x' = 'x'
SELECT id FROM ("orders")
SELECT * FROM (memory.{schema}.secrets)
SELECT * FROM (secrets) AS s
SELECT * FROM (orders CROSS JOIN secrets)
SELECT * FROM orders AS o (a, b, c, d, e, f, g, tenant)
SELECT t.tenant FROM orders AS t (id, b, c, d, e, f, g, tenant)
WITH secrets (v) AS (SELECT 1) SELECT v FROM secrets
WITH "SECRETS" AS (SELECT 1 AS v) SELECT * FROM memory.{schema}.secrets
WITH memory AS (SELECT 1 AS a) SELECT * FROM memory.{schema}.secrets
WITH {schema} AS (SELECT 1 AS a) SELECT * FROM {schema}.secrets
WITH RECURSIVE t(n) AS (SELECT k FROM single UNION ALL SELECT n + 1 FROM t WHERE n < 3) SELECT * FROM t
WITH RECURSIVE orders(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM orders WHERE n < 3) SELECT * FROM orders
WITH RECURSIVE t(n) AS (SELECT count(*) FROM customers UNION ALL SELECT n + 1 FROM t WHERE n < 6), customers(id) AS (SELECT 1) SELECT * FROM t
SELECT all_amounts() FROM orders
SELECT memory.{schema}.all_amounts()
SELECT * FROM orders, memory.{schema}.secrets s
SELECT s.v FROM memory.{schema}.secrets s JOIN orders o ON s.k = o.id
SELECT * FROM orders NATURAL FULL JOIN secrets
SELECT typeof(tenant) FROM orders
SELECT json_query('{}', 'lax $' PASSING tenant AS "x") FROM orders
SELECT json_object('t' : tenant) FROM orders
SELECT json_array(tenant) FROM orders
SELECT json_exists('{}', 'lax $') FROM secrets
SELECT lag(tenant) IGNORE NULLS OVER (ORDER BY id) FROM orders
SELECT id FROM orders WHERE tenant = 'acme' OR TRUE
SELECT id AS tenant FROM orders GROUP BY tenant
