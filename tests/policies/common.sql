-- honest
SELECT * FROM orders
SELECT * FROM {schema}.orders
SELECT id, amount FROM orders WHERE amount > 20
SELECT o.id, o.amount FROM orders o
SELECT o.id AS order_id, o.amount * 2 AS double_amount FROM orders AS o WHERE o.qty < 5
SELECT orders.id FROM orders WHERE orders.amount BETWEEN 10 AND 60
SELECT {schema}.orders.id FROM {schema}.orders
SELECT count(*) FROM orders
SELECT count(*) AS n, sum(amount) AS total, min(amount) AS low, max(amount) AS high FROM orders
SELECT avg(qty) AS mean FROM orders
SELECT customer_id, count(*) AS n FROM orders GROUP BY customer_id
SELECT customer_id, sum(amount) AS total FROM orders GROUP BY customer_id HAVING sum(amount) > 30
SELECT customer_id, sum(amount) AS total FROM orders GROUP BY 1 ORDER BY 2 DESC, 1
SELECT DISTINCT customer_id FROM orders
SELECT count(DISTINCT customer_id) AS n FROM orders
SELECT * FROM orders ORDER BY id
SELECT * FROM orders ORDER BY id LIMIT 3
SELECT * FROM orders ORDER BY id DESC LIMIT 3 OFFSET 2
SELECT * FROM orders WHERE id IN (1, 2, 3, 4)
SELECT * FROM orders WHERE id NOT IN (1, 2)
SELECT * FROM orders WHERE note IS NULL
SELECT * FROM orders WHERE note IS NOT NULL
SELECT id FROM orders WHERE status LIKE 'op%'
SELECT id FROM orders WHERE status NOT LIKE '%n'
SELECT id FROM orders WHERE status = 'open' AND (amount > 10 OR qty = 1)
SELECT id FROM orders WHERE NOT (status = 'open')
SELECT id FROM orders WHERE NOT status = 'open'
SELECT id, CASE WHEN amount > 50 THEN 'big' WHEN amount > 20 THEN 'mid' ELSE 'small' END AS size FROM orders
SELECT id, CASE status WHEN 'open' THEN 1 ELSE 0 END AS is_open FROM orders
SELECT id, coalesce(note, 'none') AS note FROM orders
SELECT id, nullif(qty, 1) AS q FROM orders
SELECT id, amount + qty AS a, amount - qty AS b, amount * qty AS c, amount % 7 AS d, -amount AS e FROM orders
SELECT id, upper(status) AS s, lower(status) AS t, length(status) AS n FROM orders
SELECT id, substr(status, 1, 2) AS s, replace(status, 'o', '0') AS r, trim(status) AS t FROM orders
SELECT id, status || '-' || CAST(id AS TEXT) AS label FROM orders
SELECT id, CAST(amount AS TEXT) AS a, CAST(amount AS INTEGER) AS i FROM orders
SELECT id, abs(amount - 50) AS distance, round(amount / 10.0, 1) AS tenth FROM orders
SELECT card FROM orders
SELECT card, count(*) AS n FROM orders GROUP BY card
SELECT id FROM orders WHERE card = '****1111'
SELECT id FROM orders WHERE card LIKE '%2222'
SELECT id, length(card) AS n FROM orders
SELECT * FROM customers
SELECT id, name FROM customers WHERE region = 'eu'
SELECT id, email FROM customers
SELECT id, salary FROM customers WHERE salary > 2000
SELECT region, avg(salary) AS mean FROM customers GROUP BY region
SELECT max(salary) AS top FROM customers
SELECT count(DISTINCT email) AS n FROM customers
SELECT * FROM countries
SELECT name FROM countries WHERE code = 'de'
SELECT c.name FROM countries c ORDER BY c.name
SELECT * FROM customers c JOIN orders o ON o.customer_id = c.id
SELECT c.name, o.amount FROM customers c INNER JOIN orders o ON o.customer_id = c.id WHERE o.amount > 10
SELECT c.name, o.amount FROM customers c LEFT JOIN orders o ON o.customer_id = c.id
SELECT c.name, o.amount FROM orders o RIGHT JOIN customers c ON o.customer_id = c.id
SELECT c.name, count(o.id) AS n FROM customers c LEFT JOIN orders o ON o.customer_id = c.id GROUP BY c.name
SELECT c.name, x.name AS country FROM customers c JOIN countries x ON x.code = c.country
SELECT c.name, x.name AS country, o.id FROM customers c JOIN countries x ON x.code = c.country JOIN orders o ON o.customer_id = c.id
SELECT * FROM customers CROSS JOIN countries
SELECT c.id, o.id AS o FROM customers c, orders o WHERE c.id = o.customer_id
SELECT a.id, b.id AS other FROM orders a JOIN orders b ON a.customer_id = b.customer_id AND a.id < b.id
SELECT a.id FROM orders a, orders b, orders c WHERE a.id = b.id AND b.id = c.id
SELECT * FROM orders JOIN customers USING (id)
SELECT id, amount, name FROM orders JOIN customers USING (id) WHERE amount > 5
SELECT * FROM orders NATURAL JOIN customers
SELECT id FROM orders WHERE customer_id IN (SELECT id FROM customers)
SELECT id FROM orders WHERE customer_id NOT IN (SELECT id FROM customers WHERE region = 'eu')
SELECT id FROM orders WHERE customer_id = (SELECT min(id) FROM customers)
SELECT id FROM orders o WHERE EXISTS (SELECT 1 FROM customers c WHERE c.id = o.customer_id AND c.region = 'us')
SELECT id FROM orders o WHERE NOT EXISTS (SELECT 1 FROM customers c WHERE c.id = o.customer_id)
SELECT id, (SELECT name FROM customers c WHERE c.id = o.customer_id) AS customer FROM orders o
SELECT id, (SELECT count(*) FROM orders p WHERE p.customer_id = o.customer_id) AS n FROM orders o
SELECT id FROM orders o WHERE amount > (SELECT avg(amount) FROM orders p WHERE p.customer_id = o.customer_id)
SELECT * FROM (SELECT id, amount FROM orders) AS t WHERE t.amount > 10
SELECT * FROM (SELECT * FROM orders) AS t
SELECT t.n FROM (SELECT count(*) AS n FROM (SELECT DISTINCT customer_id FROM orders) AS u) AS t
SELECT * FROM (SELECT id AS a, amount AS b FROM orders) AS t ORDER BY a
SELECT id FROM orders UNION SELECT id FROM customers
SELECT id FROM orders UNION ALL SELECT id FROM customers
SELECT id FROM orders INTERSECT SELECT id FROM customers
SELECT id FROM orders EXCEPT SELECT id FROM customers
SELECT id, 'o' AS kind FROM orders UNION ALL SELECT id, 'c' AS kind FROM customers ORDER BY kind, id
SELECT id FROM orders UNION SELECT id FROM customers UNION SELECT 99 AS id ORDER BY id LIMIT 5
WITH big AS (SELECT * FROM orders WHERE amount > 20) SELECT * FROM big
WITH big AS (SELECT id, customer_id FROM orders WHERE amount > 20) SELECT c.name, big.id FROM big JOIN customers c ON c.id = big.customer_id
WITH a AS (SELECT id FROM orders), b AS (SELECT id FROM a WHERE id > 2) SELECT * FROM b
WITH a AS (SELECT id FROM orders), b AS (SELECT id FROM customers) SELECT * FROM a UNION SELECT * FROM b
WITH a(x, y) AS (SELECT id, amount FROM orders) SELECT x, y FROM a WHERE y > 10
WITH a AS (SELECT id FROM orders) SELECT * FROM a AS p JOIN a AS q ON p.id = q.id
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT * FROM n
WITH RECURSIVE n(i) AS (SELECT min(id) FROM orders UNION ALL SELECT i + 1 FROM n WHERE i < 6) SELECT n.i, o.amount FROM n LEFT JOIN orders o ON o.id = n.i
SELECT * FROM (WITH a AS (SELECT id FROM orders) SELECT * FROM a) AS t
SELECT id FROM orders WHERE id IN (WITH a AS (SELECT customer_id FROM orders) SELECT customer_id FROM a)
SELECT id, row_number() OVER (ORDER BY id) AS r FROM orders
SELECT id, rank() OVER (PARTITION BY customer_id ORDER BY amount DESC, id) AS r FROM orders
SELECT id, sum(amount) OVER (PARTITION BY customer_id) AS total FROM orders
SELECT id, sum(amount) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS moving FROM orders
SELECT id, lag(amount) OVER (ORDER BY id) AS before, lead(amount, 1, 0) OVER (ORDER BY id) AS after FROM orders
SELECT id, first_value(amount) OVER (PARTITION BY customer_id ORDER BY id) AS f FROM orders
SELECT id, ntile(2) OVER (ORDER BY id) AS half FROM orders
SELECT id, count(*) OVER () AS n FROM orders
SELECT id, avg(amount) OVER w AS a FROM orders WINDOW w AS (PARTITION BY customer_id)
SELECT sum(amount) FILTER (WHERE status = 'open') AS open_total FROM orders
SELECT count(*) FILTER (WHERE qty > 2) AS n, count(*) AS all_n FROM orders
SELECT * FROM "Odd Name"
SELECT "Odd Name"."Sel ect" FROM "Odd Name"
SELECT o."Sel ect" + 1 AS x FROM "Odd Name" o
SELECT * FROM {schema}."Odd Name"
SELECT 1
SELECT 1 AS one, 'two' AS two, NULL AS three
SELECT 1 + 1 AS two WHERE 1 = 1
SELECT 'it''s' AS s, 'a--b' AS c, '/* no */' AS d
SELECT id FROM orders -- a comment
SELECT /* one */ id /* two */ FROM /* three */ orders
select ID, Amount from ORDERS where STATUS = 'open'
SELECT Orders.Id FROM Orders
SELECT id FROM orders WHERE (id, amount) IN (SELECT id, amount FROM orders WHERE qty > 1)
SELECT id FROM orders WHERE created >= '2024-01-03'
SELECT created, count(*) AS n FROM orders GROUP BY created
SELECT id FROM orders WHERE status IN ('open', 'closed') ORDER BY id
SELECT max(id) - min(id) AS spread FROM orders
SELECT customer_id, max(amount) AS m FROM orders WHERE qty > 0 GROUP BY customer_id ORDER BY m DESC, customer_id LIMIT 2
SELECT o.*, c.name FROM orders o JOIN customers c ON c.id = o.customer_id
SELECT c.*, o.* FROM orders o JOIN customers c ON c.id = o.customer_id
SELECT count(*) AS n FROM orders o JOIN customers c ON c.id = o.customer_id AND c.region = 'eu'
SELECT region, count(*) AS n FROM customers GROUP BY region ORDER BY n, region
SELECT name FROM customers WHERE name > 'B' ORDER BY name
SELECT upper(name) AS n FROM customers WHERE length(name) > 2
SELECT id FROM customers WHERE salary BETWEEN 1000 AND 3000
SELECT c.region, sum(o.amount) AS total FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY c.region HAVING count(*) > 0
SELECT t.region, t.total FROM (SELECT c.region, sum(o.amount) AS total FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY c.region) t ORDER BY t.region
SELECT (SELECT max(amount) FROM orders) AS m
SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM customers) AS n
SELECT CASE WHEN EXISTS (SELECT 1 FROM orders WHERE amount > 1000) THEN 'yes' ELSE 'no' END AS rich
SELECT * FROM orders WHERE 1 = 0
SELECT id FROM orders WHERE amount = (SELECT max(amount) FROM orders)
SELECT a.id FROM (SELECT id FROM orders WHERE qty > 1) a JOIN (SELECT id FROM orders WHERE amount > 10) b ON a.id = b.id
SELECT * FROM (VALUES (1, 'x'), (2, 'y')) AS v(a, b)
VALUES (1, 2), (3, 4)
SELECT o.id, v.a FROM orders o JOIN (SELECT 1 AS a UNION ALL SELECT 2) v ON v.a = o.qty
SELECT id FROM orders ORDER BY amount, id
SELECT id FROM orders ORDER BY amount DESC, id ASC
SELECT id FROM orders ORDER BY CASE WHEN status = 'open' THEN 0 ELSE 1 END, id
SELECT DISTINCT status, customer_id FROM orders ORDER BY status, customer_id
SELECT customer_id, status, count(*) AS n FROM orders GROUP BY customer_id, status
SELECT id FROM orders WHERE amount > 10 UNION ALL (SELECT id FROM customers ORDER BY id LIMIT 1)
SELECT sum(o.amount * o.qty) AS revenue FROM orders o WHERE o.status = 'open'
SELECT o1.id FROM orders o1 WHERE o1.id = (SELECT max(o2.id) FROM orders o2 WHERE o2.customer_id = o1.customer_id)
SELECT name FROM customers WHERE id IN (SELECT customer_id FROM orders GROUP BY customer_id HAVING count(*) > 1)
SELECT x.code, count(c.id) AS n FROM countries x LEFT JOIN customers c ON c.country = x.code GROUP BY x.code
WITH t AS (SELECT customer_id, sum(amount) AS total FROM orders GROUP BY customer_id), r AS (SELECT customer_id, total, rank() OVER (ORDER BY total DESC, customer_id) AS place FROM t) SELECT c.name, r.total, r.place FROM r JOIN customers c ON c.id = r.customer_id WHERE r.place <= 3
WITH o AS (SELECT id, amount FROM orders WHERE status = 'open') SELECT count(*) AS n, coalesce(sum(amount), 0) AS total FROM o
SELECT id FROM customers WHERE email IS NOT NULL
SELECT lower(status) AS s, sum(qty) AS q FROM orders GROUP BY lower(status)
SELECT id * 10 AS tens FROM orders WHERE id * 10 > 20
SELECT min(created) AS first, max(created) AS last FROM orders
SELECT id, amount FROM orders WHERE amount <> 30 AND qty >= 1 AND qty <= 9
SELECT (SELECT max(amount) FROM orders)
SELECT * FROM (SELECT (SELECT max(amount) FROM orders), 1 AS one) AS x
WITH x AS (SELECT (SELECT max(amount) FROM orders), id FROM orders) SELECT * FROM x
SELECT EXISTS (SELECT 1 FROM customers), id FROM orders
SELECT id IN (SELECT customer_id FROM orders) FROM customers
SELECT coalesce((SELECT max(email) FROM customers), 'none')
SELECT (SELECT count(*) FROM orders) UNION ALL SELECT 1
SELECT CASE WHEN (SELECT count(*) FROM customers) > 1 THEN 1 END FROM orders
-- hostile
SELECT * FROM secrets
SELECT v FROM {schema}.secrets
SELECT * FROM "secrets"
SELECT * FROM "SECRETS"
SELECT * FROM SeCrEtS
SELECT * FROM ledger
SELECT amount FROM {schema}.ledger
SELECT * FROM all_orders
SELECT * FROM {schema}.all_orders
SELECT tenant FROM orders
SELECT o.tenant FROM orders o
SELECT {schema}.orders.tenant FROM {schema}.orders
SELECT id FROM orders WHERE tenant = 'globex'
SELECT id FROM orders WHERE tenant <> 'acme'
SELECT id FROM orders ORDER BY tenant
SELECT count(*) FROM orders GROUP BY tenant
SELECT id FROM orders GROUP BY id, tenant
SELECT count(DISTINCT tenant) FROM orders
SELECT max(tenant) OVER () FROM orders
SELECT id FROM orders WHERE EXISTS (SELECT 1 WHERE tenant = 'globex')
SELECT (SELECT tenant) FROM orders
SELECT (SELECT o.tenant FROM customers LIMIT 1) FROM orders o
SELECT * FROM orders JOIN customers USING (tenant)
SELECT "tenant" FROM orders
SELECT "TENANT" FROM orders
SELECT * FROM orders WHERE 1 = 1 OR 1 = 1
SELECT * FROM orders WHERE id > 0 OR tenant = 'globex'
SELECT * FROM orders UNION ALL SELECT * FROM secrets
SELECT id FROM orders UNION SELECT v FROM secrets
SELECT * FROM orders WHERE id IN (SELECT k FROM secrets)
SELECT (SELECT v FROM secrets LIMIT 1) FROM orders
SELECT id FROM orders WHERE EXISTS (SELECT 1 FROM secrets)
SELECT id FROM orders ORDER BY (SELECT count(*) FROM secrets)
SELECT id FROM orders LIMIT (SELECT count(*) FROM secrets)
SELECT sum(id) FILTER (WHERE EXISTS (SELECT 1 FROM secrets)) FROM orders
SELECT id FROM orders GROUP BY id HAVING (SELECT count(*) FROM secrets) > 0
SELECT CASE WHEN (SELECT count(*) FROM secrets) > 0 THEN 1 END FROM orders
SELECT row_number() OVER (ORDER BY (SELECT max(v) FROM secrets)) FROM orders
WITH orders AS (SELECT * FROM orders) SELECT * FROM orders
WITH orders AS (SELECT 1 AS id) SELECT * FROM orders
WITH orders AS (SELECT 1 AS id) SELECT * FROM {schema}.orders
WITH orders AS (SELECT 1 AS d) SELECT * FROM (SELECT * FROM {schema}.orders) AS z
WITH secrets AS (SELECT 1 AS v) SELECT * FROM secrets
WITH secrets AS (SELECT 1 AS v) SELECT * FROM {schema}.secrets
WITH x AS (SELECT * FROM secrets), secrets AS (SELECT 1 AS v) SELECT * FROM x
WITH secrets AS (SELECT * FROM secrets) SELECT * FROM secrets
WITH a AS (SELECT * FROM b), b AS (SELECT * FROM orders) SELECT * FROM a
WITH orders AS (SELECT * FROM customers) SELECT * FROM orders WHERE EXISTS (SELECT 1 FROM {schema}.orders o WHERE o.id = orders.id)
WITH "ORDERS" AS (SELECT 1 AS id) SELECT * FROM orders
WITH Orders AS (SELECT 1 AS id) SELECT * FROM oRDERS
WITH ledger AS (SELECT 1 AS amount) SELECT l.amount FROM ledger l
WITH x AS (WITH ledger AS (SELECT 1 AS amount) SELECT * FROM ledger) SELECT * FROM ledger
SELECT * FROM (WITH ledger AS (SELECT 1 AS amount) SELECT * FROM ledger) t, ledger
WITH RECURSIVE ledger AS (SELECT 1 AS amount UNION ALL SELECT amount + 1 FROM ledger WHERE amount < 3) SELECT * FROM ledger
WITH RECURSIVE x AS (SELECT amount FROM ledger UNION ALL SELECT amount FROM x) SELECT * FROM x
WITH RECURSIVE orders AS (SELECT * FROM orders) SELECT * FROM orders
WITH a AS (SELECT 1 AS id), a AS (SELECT 2 AS id) SELECT * FROM a
SELECT * FROM orders AS secrets
SELECT secrets.id FROM orders AS secrets
SELECT * FROM orders AS customers JOIN customers AS orders ON orders.id = customers.customer_id
SELECT orders.tenant FROM customers AS orders
SELECT * FROM orders AS o(a, b, c, d, e, f, g, h, i)
SELECT o.i FROM orders AS o(a, b, c, d, e, f, g, h, i)
SELECT * FROM orders o JOIN LATERAL (SELECT o.tenant) x ON TRUE
SELECT * FROM orders o, LATERAL (SELECT * FROM secrets) x
SELECT * FROM orders; SELECT * FROM secrets
SELECT * FROM orders; DROP TABLE secrets
SELECT * FROM __qe_cte_0
WITH __qe_cte_0 AS (SELECT 1 AS a) SELECT * FROM __qe_cte_0
SELECT __qe_t.tenant FROM orders AS __qe_t
SELECT __qe_t.tenant FROM orders
SELECT "__qe_t"."tenant" FROM orders
SELECT __QE_T.tenant FROM orders
SELECT id FROM orders WHERE card = '4111111111111111'
SELECT id FROM orders WHERE card LIKE '4111%'
SELECT id FROM orders WHERE substr(card, 1, 4) = '4111'
SELECT id FROM orders ORDER BY card, id
SELECT min(card) FROM orders
SELECT max(card) FROM orders
SELECT card, count(*) FROM orders GROUP BY card HAVING card > '****3'
SELECT count(DISTINCT card) FROM orders
SELECT a.id, b.id FROM orders a JOIN orders b ON a.card = b.card
SELECT o.id FROM orders o JOIN (SELECT '4111111111111111' AS card) g ON g.card = o.card
SELECT id FROM orders WHERE card IN ('4111111111111111', '4222222222222222')
SELECT id FROM orders WHERE note = 'private'
SELECT id FROM orders WHERE note LIKE '%SECRET%'
SELECT max(note) FROM orders
SELECT count(note) FROM orders
SELECT length(note) FROM orders
SELECT id FROM orders WHERE note IS NOT NULL OR id = 1
SELECT id FROM customers WHERE email = 'ann@example.org'
SELECT id FROM customers WHERE email LIKE '%@%'
SELECT min(email) FROM customers
SELECT id FROM customers WHERE salary = 1234
SELECT id FROM customers WHERE salary % 1000 > 0
SELECT sum(salary) FROM customers
SELECT id FROM customers ORDER BY salary, id
SELECT id, rank() OVER (ORDER BY salary) FROM customers
SELECT region FROM customers WHERE region = 'asia'
SELECT DISTINCT region FROM customers
SELECT id FROM orders WHERE 1 / (id - 9) > 0
SELECT id FROM orders WHERE CAST(status AS INTEGER) > 0
SELECT id FROM orders WHERE CAST(card AS INTEGER) > 0
SELECT id FROM orders WHERE CASE WHEN status = 'hidden' THEN 1 / (id - id) ELSE 1 END = 1
SELECT id FROM orders WHERE CASE WHEN amount > 5000 THEN CAST(status AS INTEGER) ELSE 1 END = 1
SELECT id FROM customers WHERE CASE WHEN name = 'SECRET' THEN CAST(name AS INTEGER) ELSE 1 END = 1
SELECT CAST(name AS INTEGER) FROM customers
SELECT 1 / (amount - 9999) FROM orders
SELECT id FROM orders WHERE abs(amount) > 0 AND CAST(status AS INTEGER) = 1
SELECT o.id FROM orders o JOIN customers c ON CAST(o.status AS INTEGER) = c.id
SELECT id FROM orders WHERE id = (SELECT id FROM orders)
SELECT (SELECT id FROM orders WHERE amount > 5000) AS x
SELECT * FROM information_schema.tables
SELECT table_name FROM information_schema.columns
SELECT * FROM sqlite_master
SELECT * FROM pg_catalog.pg_class
SELECT * FROM pg_class
SELECT * FROM pg_tables
EXPLAIN SELECT * FROM orders
EXPLAIN ANALYZE SELECT * FROM orders
DESCRIBE orders
DESCRIBE secrets
SHOW TABLES
SUMMARIZE orders
PRAGMA table_info('orders')
TABLE secrets
CREATE TABLE copy AS SELECT * FROM secrets
INSERT INTO orders SELECT * FROM secrets
SELECT * INTO copy FROM orders
UPDATE orders SET note = (SELECT v FROM secrets)
DELETE FROM orders
WITH x AS (DELETE FROM orders RETURNING *) SELECT * FROM x
CREATE VIEW v AS SELECT * FROM secrets
COPY orders TO '/tmp/x'
ATTACH 'x.db' AS x
SET search_path = secret
SELECT current_user
SELECT session_user
SELECT version()
SELECT current_setting('x')
SELECT pg_read_file('/etc/passwd')
SELECT load_extension('x')
SELECT query_to_xml('select * from secrets', true, true, '')
SELECT * FROM query_table('secrets')
SELECT * FROM query('select * from secrets')
SELECT * FROM read_csv('/etc/passwd')
SELECT * FROM '/etc/passwd'
SELECT * FROM generate_series(1, (SELECT count(*) FROM secrets))
SELECT {schema}.all_amounts()
SELECT all_amounts()
SELECT * FROM all_amounts()
SELECT other.orders.id FROM other.orders
SELECT * FROM other.orders
SELECT * FROM temp.orders
SELECT * FROM a.b.orders
SELECT * FROM a.b.c.orders
SELECT * FROM "orders "
SELECT * FROM "main.orders"
SELECT * FROM orders.orders
SELECT * FROM (orders)
SELECT * FROM ((SELECT * FROM secrets))
SELECT * FROM (SELECT * FROM (SELECT * FROM secrets) a) b
SELECT * FROM orders o LEFT JOIN (secrets s JOIN customers c ON TRUE) ON TRUE
SELECT * FROM (orders JOIN secrets ON TRUE)
SELECT * FROM orders JOIN secrets USING (id)
SELECT * FROM orders NATURAL JOIN secrets
SELECT * FROM orders, secrets
SELECT s.* FROM orders o, secrets s
SELECT secrets.* FROM orders
SELECT secrets.v FROM orders
SELECT orders FROM orders
SELECT o FROM orders o
SELECT (o).tenant FROM orders o
SELECT (orders).tenant FROM orders
SELECT rowid FROM orders
SELECT ctid FROM orders
SELECT oid FROM orders
SELECT xmin FROM orders
SELECT tableoid FROM orders
SELECT _rowid_ FROM orders
SELECT * FROM orders WHERE rowid = 1
SELECT max(rowid) FROM orders
SELECT id FROM orders /* WHERE */ UNION /* */ SELECT v FROM secrets
SELECT id FROM orders -- /*
SELECT id /*/* nested */*/ FROM secrets
SELECT '/*' FROM secrets -- */
SELECT 'a' 'b' FROM secrets
SELECT 'x' || (SELECT v FROM secrets) FROM orders
SELECT id FROM orders WHERE 'a' = 'a' -- ' OR 1=1
SELECT id FROM orders WHERE status = 'x\' OR tenant = ''globex'' --'
SELECT id FROM orders WHERE status = '\''
SELECT E'\'' , tenant FROM orders
SELECT $$a$$, v FROM secrets
SELECT U&'\0061', v FROM secrets
SELECT "o"."tenant" FROM orders "o"
SELECT 1 FROM orders WHERE "tenant" = "tenant" AND tenant = 'globex'
SELECT id FROM "Odd Name"
SELECT owner FROM "Odd Name"
SELECT * FROM "odd name"
SELECT * FROM "Odd Name" WHERE owner = 'bob'
SELECT x.owner FROM "Odd Name" x
SELECT id FROM orders ORDER BY 9
SELECT id FROM orders GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
SELECT DISTINCT ON (tenant) id FROM orders
SELECT id FROM orders FOR UPDATE
SELECT id FROM orders TABLESAMPLE SYSTEM (100)
SELECT id FROM ONLY orders
SELECT sum(amount) OVER (PARTITION BY tenant) FROM orders
SELECT lag(tenant) OVER (ORDER BY id) FROM orders
SELECT first_value(card) OVER (ORDER BY card DESC) FROM orders
SELECT id FROM orders WINDOW w AS (PARTITION BY (SELECT v FROM secrets))
SELECT id FROM orders WHERE id IN secrets
SELECT id FROM orders WHERE id IN single
SELECT id FROM orders WHERE id IN (single)
SELECT id FROM orders WHERE id NOT IN (("single"))
SELECT id FROM orders WHERE id IN ({schema}.single)
SELECT id FROM orders WHERE (id) IN (TABLE single)
SELECT id FROM orders WHERE id = ANY (single)
SELECT id FROM orders WHERE EXISTS (single)
SELECT single FROM orders
SELECT (single) FROM orders
SELECT count(single) FROM orders
SELECT (SELECT single) FROM orders
SELECT id FROM orders WHERE tenant IN (SELECT 'globex')
SELECT id FROM orders WHERE (tenant, id) IN (SELECT 'globex', id FROM orders)
SELECT * FROM orders a FULL JOIN secrets b ON TRUE
SELECT * FROM orders a JOIN orders b ON a.tenant = b.tenant
SELECT * FROM (SELECT tenant FROM orders) t
SELECT * FROM (SELECT orders.* FROM orders) t WHERE t.tenant = 'globex'
WITH t AS (SELECT tenant FROM orders) SELECT * FROM t
WITH t(tenant) AS (SELECT id FROM orders) SELECT tenant FROM t
SELECT id AS tenant FROM orders ORDER BY tenant
SELECT coalesce(tenant, 'x') FROM orders
SELECT json_object('t', tenant) FROM orders
SELECT id FROM orders WHERE EXISTS (SELECT tenant FROM customers)
SELECT id FROM orders o WHERE EXISTS (SELECT 1 FROM customers c WHERE c.tenant = o.tenant)
SELECT id FROM orders UNION ALL SELECT id FROM {schema}.ledger
SELECT id FROM orders EXCEPT SELECT id FROM ledger
SELECT id FROM orders INTERSECT SELECT amount FROM ledger
SELECT count(*) FROM ledger
SELECT 1 FROM ledger LIMIT 1
SELECT EXISTS (SELECT 1 FROM ledger)
SELECT * FROM ledger l RIGHT JOIN orders o ON TRUE
SELECT pg_sleep(0)
SELECT sleep(0)
SELECT randomblob(10), v FROM secrets
SELECT table_to_xml('secrets', true, true, '')
SELECT dblink('x', 'select 1')
SELECT lo_import('/etc/passwd')
SELECT setseed(1)
SELECT nextval('x')
SELECT 'secrets'::regclass
SELECT CAST('secrets' AS regclass)
SELECT pg_relation_size('secrets')
SELECT has_table_privilege('secrets', 'select')
SELECT col_description(1, 1)
