-- honest
SELECT count() FROM orders
SELECT id, toString(amount) AS a FROM orders
SELECT id, amount::String AS a, qty::Nullable(Int64) AS q FROM orders
SELECT id, CAST(amount, 'Nullable(String)') AS a FROM orders
SELECT id, toInt64(amount) * 2 AS a FROM orders
SELECT id, if(amount > 50, 'big', 'small') AS size FROM orders
SELECT id, multiIf(amount > 50, 'big', amount > 20, 'mid', 'small') AS size FROM orders
SELECT countIf(status = 'open') AS n, sumIf(amount, qty > 1) AS s FROM orders
SELECT uniq(customer_id) AS u, uniqExact(customer_id) AS e FROM orders
SELECT quantile(0.5)(amount) AS median, quantiles(0.25, 0.75)(amount) AS both FROM orders
SELECT median(amount) AS m, avg(amount) AS a FROM orders
SELECT argMax(id, amount) AS top, argMin(id, amount) AS low FROM orders
SELECT customer_id, arraySort(groupArray(id)) AS ids FROM orders GROUP BY customer_id
SELECT customer_id, arraySort(groupUniqArray(status)) AS s FROM orders GROUP BY customer_id
SELECT arraySort(topK(3)(customer_id)) AS t FROM orders
SELECT any(tuple(1, 2)) AS t FROM orders
SELECT id, arrayMap(x -> x + 1, [id, amount]) AS m FROM orders
SELECT id, arrayFilter(x -> x > 5, [id, amount]) AS m FROM orders
SELECT id, arrayMap((x, y) -> x + y, [id], [amount]) AS m FROM orders
SELECT id, arraySum([amount, qty]) AS s, length([1, 2, 3]) AS n FROM orders
SELECT id, [id, amount][1] AS first FROM orders
SELECT id, (id, amount).1 AS first FROM orders
SELECT id, tupleElement((id, status), 2) AS s FROM orders
SELECT id, x FROM orders ARRAY JOIN [1, 2] AS x
SELECT id, x FROM orders LEFT ARRAY JOIN [qty, amount] AS x WHERE x > 3
SELECT id, arrayJoin([1, 2]) AS x FROM orders
SELECT id, amount AS a, a * 2 AS b, b + a AS c FROM orders
SELECT id, amount * 2 AS twice FROM orders WHERE twice > 50
SELECT customer_id AS c, sum(amount) AS total FROM orders GROUP BY c HAVING total > 30 ORDER BY c
WITH 20 AS low SELECT id FROM orders WHERE amount > low
WITH 10 AS low, 60 AS high SELECT id FROM orders WHERE amount BETWEEN low AND high
WITH (SELECT max(amount) FROM orders) AS top SELECT id FROM orders WHERE amount = top
WITH toString(id) AS label SELECT label FROM orders
WITH big AS (SELECT * FROM orders WHERE amount > 20), 5 AS n SELECT id FROM big WHERE qty < n
SELECT * EXCEPT (note) FROM orders
SELECT * EXCEPT note FROM orders
SELECT * EXCEPT (note, card) FROM orders ORDER BY id
SELECT o.* EXCEPT (note) FROM orders o
SELECT * REPLACE (amount * 2 AS amount) FROM orders
SELECT COLUMNS('a') FROM orders
SELECT COLUMNS('amount|qty') FROM orders
SELECT id FROM orders ORDER BY id LIMIT 1 BY customer_id
SELECT id FROM orders ORDER BY amount DESC, id LIMIT 2 BY status
SELECT id, amount FROM orders ORDER BY amount LIMIT 3 WITH TIES
SELECT status, sum(amount) AS s FROM orders GROUP BY status WITH TOTALS
SELECT status, customer_id, sum(amount) AS s FROM orders GROUP BY ROLLUP(status, customer_id)
SELECT status, customer_id, sum(amount) AS s FROM orders GROUP BY CUBE(status, customer_id)
SELECT status, sum(amount) AS s FROM orders GROUP BY status WITH ROLLUP
SELECT status, customer_id, count() AS n FROM orders GROUP BY GROUPING SETS ((status), (customer_id))
SELECT DISTINCT ON (customer_id) customer_id FROM orders ORDER BY customer_id
SELECT o.id, c.name FROM orders o ANY LEFT JOIN customers c ON c.id = o.customer_id
SELECT o.id, c.name FROM orders o LEFT ANY JOIN customers c ON c.id = o.customer_id
SELECT o.id FROM orders o SEMI LEFT JOIN customers c ON c.id = o.customer_id
SELECT o.id FROM orders o LEFT SEMI JOIN customers c ON c.id = o.customer_id
SELECT o.id FROM orders o ANTI LEFT JOIN customers c ON c.id = o.customer_id
SELECT o.id FROM orders o GLOBAL INNER JOIN customers c ON c.id = o.customer_id
SELECT o.id, c.name FROM orders o JOIN customers c USING id
SELECT id FROM orders WHERE customer_id GLOBAL IN (SELECT id FROM customers)
SELECT id FROM orders WHERE (customer_id, qty) IN ((1, 2), (3, 0))
SELECT id FROM orders WHERE amount != 42 AND qty == 2
SELECT id FROM orders UNION ALL SELECT id FROM customers UNION ALL SELECT 99
SELECT id FROM orders UNION DISTINCT SELECT id FROM customers
SELECT id FROM orders INTERSECT DISTINCT SELECT id FROM customers
SELECT id, toDate(created) AS d, toStartOfMonth(toDate(created)) AS m FROM orders
SELECT id, dateDiff('day', toDate('2024-01-01'), toDate(created)) AS days FROM orders
SELECT toYYYYMM(toDate(created)) AS month, count() AS n FROM orders GROUP BY month
SELECT id, formatDateTime(toDateTime(created), '%Y-%m') AS m FROM orders
SELECT id, toDate(created) + INTERVAL 1 DAY AS d FROM orders
SELECT id, toDate(created) - INTERVAL 2 MONTH AS d FROM orders
SELECT id, lower(status) AS s, concat(status, '-', toString(id)) AS c, substring(status, 1, 2) AS p FROM orders
SELECT id, splitByChar('-', created)[1] AS y, replaceAll(created, '-', '/') AS d FROM orders
SELECT id, match(status, '^op') AS m, position(status, 'e') AS p, startsWith(status, 'o') AS o FROM orders
SELECT id, ifNull(note, 'none') AS n, isNull(note) AS i, coalesce(note, card) AS c FROM orders
SELECT id, 'it''s' AS a, 'it\'s' AS b, 'a\\b' AS c FROM orders
SELECT id, JSONExtractString('{"a": "x"}', 'a') AS a FROM orders
SELECT id, map('k', id)['k'] AS v FROM orders
SELECT id, row_number() OVER (PARTITION BY customer_id ORDER BY id) AS r FROM orders QUALIFY r = 1
SELECT id, lagInFrame(amount) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS p FROM orders
SELECT number FROM numbers(5)
SELECT o.id, n.number FROM orders o JOIN numbers(10) n ON toInt32(n.number) = o.qty
SELECT `id`, "amount" FROM `orders`
SELECT id FROM `{schema}`.`orders`
SELECT max(created) AS last, min(created) AS first FROM orders WHERE created >= '2024-01-02'
SELECT id FROM orders ORDER BY amount DESC NULLS FIRST, id
SELECT id FROM orders ORDER BY amount ASC NULLS LAST, id
SELECT sumMap([customer_id], [amount]) AS m FROM orders
SELECT name, cityHash64(id) AS h FROM customers
SELECT region, groupArray(name) AS names FROM (SELECT * FROM customers ORDER BY id) GROUP BY region ORDER BY region
SELECT avgIf(amount, status = 'open') OVER (PARTITION BY customer_id) AS a FROM orders
SELECT id FROM orders WHERE has([1, 2, 4], id)
SELECT bitAnd(id, 3) AS b, intDiv(amount, 7) AS d, modulo(amount, 7) AS m FROM orders
SELECT toTypeName(id) AS t FROM orders LIMIT 1
-- hostile
WITH (a, b) -> 1 AS equals SELECT * FROM orders
WITH (a, b) -> 1 AS equals SELECT count() FROM customers
WITH ((a, b) -> 1) AS equals SELECT * FROM orders
WITH x -> 1 AS not SELECT * FROM orders
WITH (a, b) -> 1 AS `and` SELECT * FROM customers
WITH (a, b) -> 1 AS `in` SELECT * FROM customers
WITH x -> 'leak' AS toString SELECT * FROM orders
WITH x -> x AS lengthUTF8, (x, y) -> x AS rightUTF8 SELECT card FROM orders
WITH (x, y) -> y AS concat SELECT email FROM customers
WITH x -> x AS SHA256 SELECT email FROM customers
WITH x -> x AS lower, x -> x AS hex, x -> x AS SHA256 SELECT email FROM customers
WITH (a, b) -> a AS minus SELECT salary FROM customers
SELECT arrayMap((a, b) -> 1 AS equals, [1], [2]) FROM orders
SELECT arrayMap(((a, b) -> 1) AS equals, [1], [2]) FROM orders
SELECT id, ((a, b) -> 1) AS equals FROM orders
SELECT (a, b) -> 1 AS equals, id FROM orders
SELECT (SELECT count() FROM orders), arrayMap((a, b) -> 1 AS equals, [1], [2])
SELECT id FROM orders ORDER BY ((a, b) -> 1 AS equals)(1, 2)
SELECT id FROM orders WHERE arrayExists((a, b) -> 1 AS equals, [1], [2])
WITH (SELECT (a, b) -> 1) AS equals SELECT * FROM orders
WITH equals AS (a, b) -> 1 SELECT * FROM orders
WITH 'globex' AS tenant SELECT * FROM orders
WITH tenant AS tenant SELECT tenant FROM orders
WITH 'acme' AS tenant SELECT * FROM orders
WITH 1 AS amount SELECT amount, id FROM orders
WITH 'x' AS card SELECT card FROM orders
WITH (SELECT 'x') AS region SELECT * FROM customers
SELECT 'acme' AS tenant, count() FROM orders
SELECT 'acme' AS tenant, id FROM orders WHERE tenant = 'acme'
SELECT 'eu' AS region, id FROM customers
SELECT id AS tenant FROM orders WHERE tenant = 1
SELECT upper(card) AS card FROM orders
SELECT (SELECT 'acme' AS tenant) AS x, id FROM orders
SELECT 1 AS orders, id FROM orders
WITH 1 AS orders SELECT * FROM orders
WITH (SELECT 1) AS orders SELECT * FROM orders
WITH (SELECT 1 AS id) AS ledger SELECT * FROM ledger
WITH policies_full AS (SELECT 1) SELECT * FROM {schema}.orders
WITH (1, 2) AS {schema} SELECT * FROM orders
WITH (SELECT 1) AS {schema} SELECT * FROM {schema}.orders
SELECT 1 AS {schema}, id FROM orders
SELECT * FROM (SELECT 1 AS one) AS {schema}, orders
SELECT {schema}.orders.tenant FROM {schema}.orders
SELECT id FROM orders WHERE k IN secrets
SELECT id FROM orders WHERE id IN secrets
SELECT id FROM orders WHERE id IN {schema}.secrets
SELECT id FROM orders WHERE id NOT IN secrets
SELECT id FROM orders WHERE id GLOBAL IN secrets
SELECT id FROM orders WHERE in(id, secrets)
SELECT id FROM orders WHERE notIn(id, secrets)
SELECT id FROM orders WHERE globalIn(id, secrets)
SELECT id FROM orders WHERE nullIn(id, secrets)
SELECT id FROM orders WHERE id IN (secrets)
SELECT id FROM orders WHERE id IN orders
SELECT id FROM orders WHERE id IN (SELECT * FROM secrets)
SELECT * FROM orders ARRAY JOIN (SELECT groupArray(v) FROM secrets) AS x
SELECT x FROM orders ARRAY JOIN (SELECT groupArray(v) FROM {schema}.secrets) AS x
SELECT x FROM orders LEFT ARRAY JOIN (SELECT groupArray(amount) FROM ledger) AS x
SELECT x FROM orders ARRAY JOIN [1] AS y, (SELECT groupArray(v) FROM secrets) AS x
SELECT x FROM orders ARRAY JOIN [(SELECT max(v) FROM secrets)] AS x
SELECT * FROM orders ARRAY JOIN secrets
SELECT * FROM orders ARRAY JOIN {schema}.secrets
SELECT * FROM orders ARRAY JOIN [tenant] AS x
SELECT * FROM orders FINAL
SELECT * FROM secrets FINAL
SELECT * FROM orders SAMPLE 0.5
SELECT * FROM orders SAMPLE 1/2 OFFSET 1/2
SELECT id FROM orders PREWHERE tenant = 'globex'
SELECT id FROM orders PREWHERE id = 1 WHERE amount > 1
SELECT * FROM merge('{schema}', '.*')
SELECT * FROM merge({schema}, 'secrets')
SELECT * FROM remote('127.0.0.1', '{schema}', 'secrets')
SELECT * FROM cluster('default', '{schema}', 'secrets')
SELECT * FROM file('/etc/passwd', 'LineAsString')
SELECT * FROM url('http://127.0.0.1/', 'LineAsString')
SELECT * FROM view(SELECT * FROM secrets)
SELECT * FROM viewIfPermitted(SELECT * FROM secrets ELSE null('a Int'))
SELECT * FROM viewExplain('EXPLAIN', '', (SELECT * FROM secrets))
SELECT * FROM executable('x', 'TSV', 'a String')
SELECT * FROM loop({schema}.secrets)
SELECT * FROM mergeTreeIndex({schema}, secrets)
SELECT * FROM mergeTreeProjection({schema}, secrets, p)
SELECT * FROM dictionary('secrets')
SELECT * FROM input('a Int')
SELECT * FROM values('a Int32', 1)
SELECT * FROM numbers((SELECT count() FROM secrets))
SELECT * FROM generateRandom('a Int32') LIMIT 1
SELECT * FROM (EXPLAIN SELECT * FROM secrets)
SELECT * FROM sqlite('/tmp/x', 'secrets')
SELECT dictGet('secrets', 'v', 1)
SELECT dictHas('secrets', 1)
SELECT joinGet('{schema}.secrets', 'v', 1)
SELECT joinGet({schema}.secrets, 'v', 1)
SELECT hasColumnInTable('{schema}', 'orders', 'tenant')
SELECT file('/etc/passwd')
SELECT getSetting('max_threads')
SELECT hostName()
SELECT currentDatabase()
SELECT currentUser()
SELECT version()
SELECT queryID()
SELECT sleep(0)
SELECT sleepEachRow(0) FROM orders
SELECT catboostEvaluate('x', 1)
SELECT filesystemAvailable()
SELECT arrayReduce('sum', [1]), initializeAggregation('sum', 1) FROM secrets
SELECT * FROM system.tables
SELECT * FROM system.columns WHERE table = 'orders'
SELECT * FROM system.parts
SELECT * FROM system.query_log
SELECT * FROM system.one
SELECT * FROM INFORMATION_SCHEMA.TABLES
SELECT _part FROM orders
SELECT _table, _database FROM orders
SELECT _partition_id, _part_offset FROM orders
SELECT _row_exists FROM orders
SELECT `tenant.size0` FROM orders
SELECT tenant.size FROM orders
SELECT orders.tenant.size FROM orders
SELECT note.null FROM orders
SELECT tenant.null FROM orders
SELECT * EXCEPT (id) FROM secrets
SELECT COLUMNS('.*') FROM secrets
SELECT COLUMNS('tenant') FROM orders
SELECT COLUMNS(tenant) FROM orders
SELECT orders.COLUMNS('tenant') FROM orders
SELECT * REPLACE ('globex' AS tenant) FROM orders
SELECT * REPLACE ((SELECT max(v) FROM secrets) AS card) FROM orders
SELECT * APPLY(toString) FROM orders
SELECT * APPLY(x -> x) FROM secrets
SELECT COLUMNS('id') APPLY(dictGetString) FROM orders
SELECT id FROM orders LIMIT 1 BY tenant
SELECT id FROM orders LIMIT (SELECT count() FROM secrets) BY id
SELECT id FROM orders ORDER BY tenant LIMIT 2 WITH TIES
SELECT id FROM orders ORDER BY id WITH FILL FROM 1 TO 10
SELECT id FROM orders ORDER BY id INTERPOLATE (id AS (SELECT max(amount) FROM ledger))
SELECT tenant, count() FROM orders GROUP BY tenant WITH TOTALS
SELECT id FROM orders SETTINGS max_threads = 1
SELECT id FROM orders SETTINGS additional_table_filters = {}
SELECT id FROM orders FORMAT JSON
SELECT id FROM orders INTO OUTFILE '/tmp/x'
SELECT id FROM {t:Identifier}
SELECT {c:Identifier} FROM orders
SELECT id FROM {schema}.{t:Identifier}
SELECT id FROM orders WHERE id IN {t:Identifier}
SELECT throwIf(tenant = 'globex') FROM orders
SELECT throwIf(amount = 9999) FROM orders
SELECT id FROM orders WHERE throwIf(amount = 9999) = 0
SELECT id FROM orders WHERE NOT throwIf(status LIKE 'hidden%', 'SECRET seen')
SELECT id FROM orders WHERE NOT ignore(throwIf(id % 2 = 1))
SELECT id FROM customers WHERE intDiv(1, salary - 3702) < 5
SELECT id FROM customers WHERE NOT throwIf(name = 'SECRET')
SELECT toInt32(status) FROM orders WHERE amount > 5000
SELECT toInt32OrZero(status) FROM orders
SELECT o.id FROM orders o JOIN customers c ON c.id = o.customer_id AND NOT throwIf(o.amount = 9999)
SELECT sum(intDiv(1, amount - 9999)) FROM orders
SELECT id, blockNumber() FROM orders
SELECT rowNumberInAllBlocks() AS r, id FROM orders ORDER BY id
SELECT tenant ? 1 : 2 FROM orders
SELECT id FROM orders WHERE identity(tenant) = 'globex'
SELECT getSubcolumn(tenant, 'null') FROM orders
SELECT id FROM Orders
SELECT ID FROM orders
SELECT id FROM `orders\0`
SELECT id FROM `or\x64ers`
SELECT `id\` FROM secrets --` FROM orders
SELECT "id\" FROM secrets --" FROM orders
SELECT 'a\' FROM secrets --' FROM orders
SELECT $$x$$, v FROM secrets
SELECT $a$ FROM secrets $a$, id FROM orders
SELECT ‘x’, v FROM secrets
SELECT id # FROM orders
SELECT id // FROM orders
SELECT id /* /* */ FROM secrets */ FROM orders
SELECT id --x FROM secrets
SELECT x'41', v FROM secrets
SELECT * FROM orders AS o JOIN secrets AS s ON o.id = s.k
SELECT * FROM orders PASTE JOIN secrets
SELECT * FROM orders ASOF JOIN secrets ON orders.id >= secrets.k
SELECT * FROM orders GLOBAL ANY LEFT JOIN secrets ON id = k
SELECT * FROM orders AS o, (SELECT * FROM secrets) AS s
SELECT orders.id FROM orders AS o
SELECT o.id FROM customers AS c, orders AS o WHERE customers.id = 1
WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n < 3) SELECT * FROM t, secrets
WITH x AS (SELECT * FROM secrets) SELECT * FROM x
WITH a AS (SELECT * FROM customers), customers AS (SELECT 1 AS id) SELECT * FROM a
WITH orders AS (SELECT * FROM orders WHERE tenant = 'globex') SELECT * FROM orders
WITH orders AS MATERIALIZED (SELECT 1 AS id) SELECT * FROM orders
SELECT count() FROM (SELECT 1 AS tenant, * FROM orders)
SELECT count() FROM orders WHERE 1 OR tenant = ''
SELECT materialize(tenant) FROM orders
SELECT any(tenant) FROM orders
SELECT groupArray(tenant) FROM orders
SELECT quantile(tenant)(amount) FROM orders
SELECT sumIf(amount, tenant = 'globex') FROM orders
SELECT sum(amount) FILTER (WHERE tenant = 'globex') FROM orders
SELECT arrayFilter(x -> x = tenant, ['globex']) FROM orders
SELECT arrayMap(tenant -> tenant, ['x']) FROM orders
SELECT arrayMap(x -> (SELECT max(v) FROM secrets), [1]) FROM orders
SELECT * FROM orders WHERE EXISTS(SELECT 1 FROM secrets)
SHOW CREATE TABLE orders
EXISTS TABLE secrets
DESC TABLE orders
EXPLAIN AST SELECT 1
CHECK TABLE secrets
SELECT * FROM null('a Int32')
FROM secrets SELECT *
FROM secrets
SELECT 1 IN (single)
SELECT 1 IN ((single))
SELECT 2 NOT IN ("single")
SELECT 1 GLOBAL IN (single)
SELECT 1 IN ({schema}.single)
SELECT arrayMap(x -> x IN (single), [1])
SELECT countIf(id IN (single)) FROM orders
SELECT id IN (single) AS s FROM orders
SELECT has(single, 1)
SELECT 1 IN tuple(single)
SELECT 1 IN [single]
SELECT 1 IN (single, single)
SELECT (1, 1) IN (secrets)
WITH single AS (SELECT 5 AS k) SELECT 1 IN (single)
WITH s AS (SELECT 5 AS k) SELECT 5 IN (s)
WITH [1] AS single SELECT 1 IN single
WITH [1] AS single SELECT 1 IN (single)
SELECT CASE 1 WHEN single THEN 1 END
SELECT if(1 IN (single), 1, 0)
SELECT o.id FROM orders o JOIN customers c ON c.id IN (single)
SELECT id FROM orders HAVING 1 IN (single)
SELECT id FROM orders ORDER BY id IN (single), id
SELECT id FROM orders LIMIT 1 BY id IN (single)
SELECT sum(amount) OVER (PARTITION BY id IN (single)) FROM orders
SELECT x FROM orders ARRAY JOIN [id IN (single)] AS x
WITH id IN (single) AS f SELECT f FROM orders
