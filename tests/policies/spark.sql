-- honest
SELECT id, CAST(amount AS STRING) AS a, CAST(amount AS BIGINT) AS b, CAST(amount AS DECIMAL(10, 2)) AS d FROM orders
SELECT id, amount::string AS a, TRY_CAST(status AS INT) AS s FROM orders
SELECT id, if(amount > 50, 'big', 'small') AS size, nvl(note, 'none') AS n FROM orders
SELECT id, concat(status, '-', id) AS c, substr(status, 1, 2) AS s, instr(status, 'p') AS p FROM orders
SELECT id, split(created, '-')[0] AS y, regexp_replace(created, '-', '/') AS d FROM orders
SELECT id, to_date(created) AS d, year(to_date(created)) AS y, date_trunc('MONTH', to_date(created)) AS m FROM orders
SELECT id, date_add(to_date(created), 2) AS d, datediff(to_date(created), DATE '2024-01-01') AS n FROM orders
SELECT id, CAST(created AS DATE) + INTERVAL 1 DAY AS d FROM orders
SELECT id FROM orders WHERE CAST(created AS DATE) >= DATE '2024-01-03'
SELECT id, date_format(CAST(created AS TIMESTAMP), 'yyyy-MM') AS m FROM orders
SELECT EXTRACT(YEAR FROM CAST(created AS DATE)) AS y, count(*) AS n FROM orders GROUP BY 1
SELECT count_if(status = 'open') AS n, max_by(id, amount) AS top, min_by(id, amount) AS low FROM orders
SELECT approx_count_distinct(customer_id) AS n, percentile(amount, 0.5) AS m, median(amount) AS d FROM orders
SELECT customer_id, sort_array(collect_list(id)) AS ids FROM orders GROUP BY customer_id
SELECT sort_array(collect_set(status)) AS s, array_join(sort_array(collect_list(created)), ';') AS j FROM orders
SELECT listagg(status, ',') WITHIN GROUP (ORDER BY id) AS ids FROM orders
SELECT id, array(id, amount)[0] AS f, size(array(1, 2, 3)) AS n FROM orders
SELECT id, map('k', id)['k'] AS v, element_at(map('a', 1), 'a') AS e FROM orders
SELECT id, transform(array(id, amount), x -> x + 1) AS t FROM orders
SELECT id, filter(array(id, amount), x -> x > 5) AS t, exists(array(id), x -> x = 4) AS e FROM orders
SELECT id, aggregate(array(id, amount), 0, (s, x) -> s + x) AS t FROM orders
SELECT s.a FROM (SELECT named_struct('a', id, 'b', status) AS s FROM orders) AS t
SELECT s.* FROM (SELECT named_struct('a', id, 'b', status) AS s FROM orders) AS t
SELECT id, x FROM orders LATERAL VIEW explode(array(1, 2)) u AS x
SELECT id, p, x FROM orders o LATERAL VIEW posexplode(array(o.qty, o.amount)) u AS p, x WHERE x > 3
SELECT id, x FROM orders LATERAL VIEW OUTER explode(array()) u AS x
SELECT id, explode(array(1, 2)) AS x FROM orders
SELECT o.id, u.x FROM orders o, LATERAL explode(array(o.qty, 7)) AS u(x)
SELECT o.id, l.n FROM orders o, LATERAL (SELECT o.qty + 1 AS n) AS l
SELECT id FROM orders ORDER BY id LIMIT 3 OFFSET 2
SELECT id FROM orders ORDER BY note ASC NULLS LAST, id DESC
SELECT status, customer_id, sum(amount) AS s FROM orders GROUP BY ROLLUP (status, customer_id)
SELECT status, customer_id, sum(amount) AS s, grouping(status) AS g FROM orders GROUP BY CUBE (status, customer_id)
SELECT status, customer_id, count(*) AS n FROM orders GROUP BY GROUPING SETS ((status), (customer_id), ())
SELECT status, sum(amount) AS s FROM orders GROUP BY status WITH ROLLUP
SELECT status, sum(amount) AS s FROM orders GROUP BY ALL
SELECT id FROM orders WHERE amount <=> 42 OR qty == 2
SELECT id FROM orders WHERE status RLIKE '^op' AND status LIKE 'o%' AND amount != 3
SELECT id FROM orders WHERE amount IS DISTINCT FROM 42
SELECT id FROM orders o LEFT SEMI JOIN customers c ON c.id = o.customer_id
SELECT id FROM orders o LEFT ANTI JOIN customers c ON c.id = o.customer_id
SELECT id FROM orders INTERSECT ALL SELECT customer_id FROM orders
SELECT id FROM orders MINUS SELECT id FROM customers
SELECT id, amount AS a, a * 2 AS b, b + a AS c FROM orders
SELECT * EXCEPT (note, card) FROM orders
SELECT o.* EXCEPT (note) FROM orders o
SELECT get_json_object('{"a": "x"}', '$.a') AS a, from_json('{"a": 1}', 'a INT') AS j
SELECT id, round(amount / 7, 2) AS r, amount DIV 7 AS d, amount % 7 AS m, pmod(amount, 7) AS p FROM orders
SELECT id, sha2(status, 256) AS h, md5(status) AS m, hex(status) AS x FROM orders
SELECT id, lag(amount) OVER (PARTITION BY customer_id ORDER BY id) AS p, ntile(2) OVER (ORDER BY id) AS n FROM orders
SELECT * FROM VALUES (1, 'x'), (2, 'y') AS v(a, b)
SELECT o.id, r.id AS n FROM orders o JOIN range(5) AS r ON r.id = o.qty
SELECT stack(2, 1, 'a', 2, 'b')
WITH orders AS (SELECT * FROM orders WHERE qty = 2) SELECT count(*) FROM orders
WITH a AS (SELECT id FROM orders), b AS (SELECT id FROM a) SELECT count(*) FROM a JOIN b USING (id)
SELECT `id`, `Amount` FROM `ORDERS`
SELECT id FROM spark_catalog.{schema}.orders
SELECT "text" AS a, 'it\'s' AS b, 'back\\slash' AS c, '--' AS d
SELECT bool_and(qty >= 0) AS a, bool_or(qty > 2) AS b, every(id > 0) AS c FROM orders
SELECT sum(amount) FILTER (WHERE qty > 1) AS s, any_value(1) AS o FROM orders
SELECT CASE WHEN qty = 2 THEN 'two' ELSE 'other' END AS q, count(*) FROM orders GROUP BY 1
-- hostile
SELECT * FROM spark_catalog.{schema}.secrets
SELECT * FROM `spark_catalog`.`{schema}`.`SECRETS`
SELECT * FROM other_catalog.{schema}.orders
SELECT * FROM global_temp.orders
SELECT * FROM parquet.`/etc/passwd`
SELECT * FROM text.`/etc/passwd`
SELECT * FROM csv.`file:///etc/passwd`
SELECT * FROM `parquet`.`/tmp`
SELECT * FROM delta.`/tmp/x`
SELECT * FROM file:///etc/passwd
SELECT * FROM {schema}.`orders/../secrets`
SELECT * FROM IDENTIFIER('secrets')
SELECT IDENTIFIER('tenant') FROM orders
SELECT * FROM IDENTIFIER(:x)
SELECT IDENTIFIER('all_amounts')()
EXECUTE IMMEDIATE 'SELECT * FROM secrets'
TABLE orders
TABLE secrets
SELECT * FROM (TABLE secrets)
SELECT id FROM orders UNION ALL TABLE single
SELECT id FROM orders WHERE id IN (TABLE single)
WITH x AS (TABLE secrets) SELECT * FROM x
FROM secrets SELECT *
FROM orders SELECT tenant
FROM orders |> SELECT tenant
FROM secrets |> WHERE k = 1
FROM orders |> EXTEND tenant AS t
FROM secrets
VALUES ((SELECT max(v) FROM secrets))
SELECT * FROM VALUES ((SELECT max(v) FROM secrets)) AS t(a)
SELECT TRANSFORM(id) USING 'cat' AS (x) FROM orders
SELECT TRANSFORM(*) USING '/bin/cat' FROM secrets
MAP id USING 'cat' FROM orders
REDUCE id USING 'cat' FROM orders
SELECT /*+ BROADCAST(secrets) */ id FROM orders
SELECT /*+ REPARTITION(3) */ id FROM secrets
SELECT id FROM orders TABLESAMPLE (100 PERCENT)
SELECT id FROM orders TABLESAMPLE (5 ROWS)
SELECT id FROM secrets TABLESAMPLE (BUCKET 1 OUT OF 1)
SELECT id FROM orders VERSION AS OF 1
SELECT id FROM orders TIMESTAMP AS OF '2024-01-01'
SELECT id FROM orders FOR SYSTEM_VERSION AS OF 1
SELECT * FROM orders PIVOT (sum(amount) FOR tenant IN ('acme', 'globex'))
SELECT * FROM secrets PIVOT (max(v) FOR k IN (1, 2))
SELECT * FROM secrets UNPIVOT (x FOR y IN (k))
SELECT id FROM orders DISTRIBUTE BY tenant
SELECT id FROM orders SORT BY tenant
SELECT id FROM orders CLUSTER BY tenant
SELECT x FROM orders LATERAL VIEW explode((SELECT collect_list(v) FROM secrets)) u AS x
SELECT x FROM orders LATERAL VIEW explode(array(tenant)) u AS x
SELECT x FROM orders LATERAL VIEW explode(array(1)) `u, secrets` AS x
SELECT secrets.x FROM orders LATERAL VIEW explode(array(1)) secrets AS x
SELECT x FROM orders LATERAL VIEW java_method('java.lang.System', 'exit') u AS x
SELECT x FROM orders, LATERAL explode((SELECT collect_list(v) FROM secrets)) AS u(x)
SELECT x FROM orders o, LATERAL (SELECT o.tenant AS x) AS l
SELECT x FROM orders o, LATERAL (SELECT v AS x FROM secrets) AS l
SELECT explode((SELECT collect_list(v) FROM secrets)) AS x
SELECT explode(array(tenant)) AS x FROM orders
SELECT inline(array(struct(tenant))) FROM orders
SELECT * FROM range((SELECT count(*) FROM secrets))
SELECT * FROM explode((SELECT collect_list(v) FROM secrets))
SELECT * FROM python_worker_logs()
SELECT * FROM sql_keywords()
SELECT * FROM read_files('/etc/passwd')
SELECT * FROM variant_explode(parse_json('[1]'))
SELECT orders.* FROM secrets AS orders
SELECT struct(*) FROM secrets
SELECT struct(o.*) FROM orders o
SELECT named_struct('t', tenant) FROM orders
SELECT to_json(struct(*)) FROM orders
SELECT to_json(struct(tenant)) FROM orders
SELECT (SELECT struct(*) FROM secrets LIMIT 1).v
SELECT (SELECT first(struct(*)) FROM secrets).v
SELECT o.tenant.x FROM orders o
SELECT _metadata FROM orders
SELECT _metadata.file_path FROM orders
SELECT orders._metadata.file_name FROM orders
SELECT input_file_name() FROM orders
SELECT input_file_block_start() FROM orders
SELECT spark_partition_id() FROM orders
SELECT transform(array(1), x -> (SELECT max(v) FROM secrets))
SELECT transform(array(1), x -> tenant) FROM orders
SELECT filter(array('globex'), x -> x = tenant) FROM orders
SELECT transform(array('a'), tenant -> tenant) FROM orders
SELECT aggregate(array(1), 0, (s, x) -> s + amount, s -> CAST(tenant AS INT)) FROM orders
SELECT 'acme' AS tenant, tenant AS t FROM orders
SELECT 'acme' AS tenant, id FROM orders WHERE tenant = 'acme'
SELECT id AS tenant, tenant + 1 AS x FROM orders
SELECT 'eu' AS region, id FROM customers
SELECT upper(card) AS card, card AS c2 FROM orders
SELECT count(*) FROM orders GROUP BY ALL ORDER BY tenant
SELECT id FROM orders ORDER BY ALL
SELECT collect_list(tenant) FROM orders
SELECT max_by(id, tenant) FROM orders
SELECT listagg(tenant, ',') FROM orders
SELECT sum(amount) FILTER (WHERE tenant = 'globex') FROM orders
SELECT sum(amount) OVER w FROM orders WINDOW w AS (PARTITION BY tenant)
SELECT grouping(tenant) FROM orders GROUP BY CUBE (tenant)
SELECT * EXCEPT (id) FROM secrets
SELECT * EXCEPT (tenant) FROM orders
SELECT id FROM orders WHERE assert_true(amount <> 9999) IS NULL
SELECT assert_true(amount <> 9999) FROM orders
SELECT raise_error('SECRET') FROM orders WHERE amount = 9999
SELECT if(amount = 9999, raise_error('SECRET'), 1) FROM orders
SELECT id FROM orders WHERE 1 / (amount - 9999) < 5
SELECT id FROM orders WHERE CAST(status AS INT) IS NULL
SELECT id FROM customers WHERE 1 / (salary - 3702) < 5
SELECT id FROM customers WHERE assert_true(name <> 'SECRET') IS NULL AND region = 'us'
SELECT o.id FROM orders o JOIN customers c ON c.id = o.customer_id AND assert_true(o.amount <> 9999) IS NULL
SELECT sum(1 / (amount - 9999)) FROM orders
SELECT id FROM orders WHERE array(1)[amount - 9999] IS NULL
SELECT id FROM orders LEFT ANTI JOIN secrets ON id = k
SELECT id FROM orders LEFT SEMI JOIN secrets ON id = k
SELECT id FROM orders NATURAL LEFT JOIN secrets
SELECT id FROM orders JOIN secrets
SELECT id FROM orders WHERE (id, 'x') IN (SELECT k, v FROM secrets)
SELECT id FROM orders WHERE id IN (SELECT k FROM single)
SELECT id FROM orders HAVING count(*) > (SELECT count(*) FROM secrets)
SELECT current_user()
SELECT current_database()
SELECT current_catalog()
SELECT session_user()
SELECT user()
SELECT version()
SELECT reflect('java.lang.System', 'getProperty', 'user.home')
SELECT java_method('java.lang.System', 'getenv', 'PATH')
SELECT from_avro(x, 'a', map('avroSchemaUrl', 'file:///etc/passwd')) FROM orders
SELECT * FROM information_schema.tables
SELECT * FROM system.information_schema.tables
SHOW TABLES IN {schema}
SHOW CREATE TABLE orders
SHOW COLUMNS IN orders
SHOW FUNCTIONS
DESCRIBE EXTENDED orders
DESC TABLE orders
DESCRIBE QUERY SELECT * FROM secrets
EXPLAIN EXTENDED SELECT * FROM secrets
CACHE TABLE secrets
SET spark.sql.runSQLOnFiles = true
DECLARE VARIABLE x INT
CREATE TEMPORARY VIEW v AS SELECT * FROM secrets
SELECT `id``, tenant` FROM orders
SELECT 'a\' FROM secrets --' FROM orders
SELECT "a\" FROM secrets --" FROM orders
SELECT r'a\' FROM secrets --' FROM orders
SELECT 'a' 'b', v FROM secrets
SELECT id /* /* */ FROM secrets */ FROM orders
SELECT id -- \
FROM secrets
SELECT X'41', v FROM secrets
SELECT ${env:HOME} FROM orders
SELECT '${spark.sql.warehouse.dir}' AS x FROM secrets
SELECT id FROM orders WHERE tenant = 'acme' OR TRUE
SELECT !tenant FROM orders
SELECT -tenant FROM orders
SELECT tenant:x FROM orders
WITH RECURSIVE t(n) AS (SELECT k FROM single UNION ALL SELECT n + 1 FROM t WHERE n < 3) SELECT * FROM t
WITH secrets (v) AS (SELECT 1) SELECT v FROM {schema}.secrets
WITH {schema} AS (SELECT 1 AS a) SELECT * FROM {schema}.secrets
WITH a AS (SELECT * FROM b), b AS (SELECT * FROM secrets) SELECT * FROM a
WITH t AS (WITH secrets AS (SELECT 1 AS v) SELECT * FROM secrets) SELECT * FROM secrets
SELECT all_amounts() FROM orders
SELECT {schema}.all_amounts()
SELECT spark_catalog.{schema}.orders.tenant FROM spark_catalog.{schema}.orders
