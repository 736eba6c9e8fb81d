-- honest
SELECT id FROM orders WHERE NOT note IS NOT NULL
SELECT id FROM orders WHERE NOT note IS NULL
SELECT id FROM orders WHERE NOT status NOT LIKE 'op%'
TABLE orders
SELECT DISTINCT ON (customer_id) customer_id, id FROM orders ORDER BY customer_id, id
SELECT id FROM orders ORDER BY id FETCH FIRST 3 ROWS ONLY
SELECT id, created::date AS d, date_trunc('month', created::date) AS m FROM orders
SELECT extract(year FROM created::date) AS y, date_part('day', created::date) AS d FROM orders
SELECT created::date + interval '1 day' AS n, created::date - interval '1 month' AS b FROM orders
SELECT id, amount::numeric(10, 2) / 3 AS third, amount::text || 'x' AS t FROM orders
SELECT id FROM orders WHERE status ~ '^op' AND status !~ 'z' AND status ~* 'OP'
SELECT id FROM orders WHERE status ILIKE 'OP%' OR status SIMILAR TO '%(a|b)%'
SELECT id FROM orders WHERE status IS DISTINCT FROM 'open'
SELECT id FROM orders WHERE amount = ANY (ARRAY[14, 30, 63])
SELECT id FROM orders WHERE amount = ANY (SELECT amount FROM orders WHERE qty > 1)
SELECT id FROM orders WHERE amount >= ALL (SELECT amount FROM orders)
SELECT array_agg(id ORDER BY id) AS ids FROM orders
SELECT customer_id, string_agg(status, ',' ORDER BY id) AS s FROM orders GROUP BY customer_id
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY amount) AS m, mode() WITHIN GROUP (ORDER BY customer_id) AS o FROM orders
SELECT customer_id, count(*) AS n FROM orders GROUP BY ROLLUP (customer_id)
SELECT customer_id, status, count(*) AS n FROM orders GROUP BY CUBE (customer_id, status)
SELECT customer_id, status, count(*) AS n, grouping(status) AS g FROM orders GROUP BY GROUPING SETS ((customer_id), (status), ())
SELECT g.i, o.id FROM generate_series(1, 5) AS g(i) LEFT JOIN orders o ON o.id = g.i
SELECT o.id, u.x FROM orders o, unnest(ARRAY[1, 2]) AS u(x)
SELECT g.a, g.n FROM generate_series(5, 7) WITH ORDINALITY AS g(a, n)
SELECT o.id, x.n FROM orders o, LATERAL (SELECT count(*) AS n FROM customers c WHERE c.id = o.customer_id) x
SELECT o.id, x.name FROM orders o LEFT JOIN LATERAL (SELECT name FROM customers c WHERE c.id = o.customer_id) x ON TRUE
SELECT id, row_to_json(o) IS NOT NULL AS j FROM orders o
SELECT json_build_object('id', id, 'a', amount)::text AS j FROM orders
SELECT ('{"a": 1}'::jsonb)->>'a' AS a, ('{"a": {"b": 2}}'::jsonb) #>> '{a,b}' AS b
SELECT ('{"a": 1}'::jsonb) @> '{"a": 1}' AS c
SELECT jsonb_array_elements_text('["x", "y"]'::jsonb) AS e
SELECT substring(status FROM 1 FOR 2) AS a, position('p' IN status) AS b, overlay(status PLACING 'x' FROM 1) AS c, trim(BOTH 'o' FROM status) AS d FROM orders
SELECT to_char(created::date, 'YYYY-MM') AS m, count(*) AS n FROM orders GROUP BY 1
SELECT coalesce(note, 'x') AS n, nullif(qty, 0) AS q, greatest(amount, qty) AS g FROM orders
SELECT id FROM orders WHERE amount BETWEEN SYMMETRIC 60 AND 10
SELECT id FROM orders ORDER BY note NULLS FIRST, id DESC NULLS LAST
SELECT id, amount / 2 AS half, amount % 3 AS m, amount ^ 2 AS sq, amount & 1 AS odd, -amount AS neg FROM orders
SELECT (id, amount) = (2, 14) AS eq, ROW(id, amount) AS r FROM orders
SELECT array(SELECT id FROM orders ORDER BY id) AS ids
SELECT (ARRAY[1, 2, 3])[2] AS two, (ARRAY[1, 2, 3])[1:2] AS both_of
SELECT id FROM orders WHERE status COLLATE "C" > 'a'
SELECT lag(amount, 1, 0) OVER (PARTITION BY customer_id ORDER BY id) AS before FROM orders
SELECT sum(amount) OVER (ORDER BY id RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS s FROM orders
SELECT count(*) AS n FROM orders HAVING count(*) > 1
WITH a AS MATERIALIZED (SELECT * FROM orders) SELECT count(*) AS n FROM a
WITH a AS NOT MATERIALIZED (SELECT * FROM orders) SELECT count(*) AS n FROM a
SELECT date '2024-01-31' + 1 AS d, timestamp '2024-01-01 10:00:00' AS t, now() > '2020-01-01' AS n
SELECT t.x FROM (VALUES (1), (2)) AS t(x) WHERE t.x IN (SELECT qty FROM orders)
SELECT orders FROM orders
SELECT id FROM orders WHERE (status = 'open') IS TRUE
SELECT regexp_replace(status, 'o', '0') AS r, split_part(card, '1', 1) AS s, md5(status) AS m FROM orders
SELECT $$it's$$ AS a, $q$two $$ of them$q$ AS b, id FROM orders WHERE status = $$open$$
SELECT E'it\'s\t\x41\101\u0042' AS a, e'a\\b' AS b, E'o' || 'pen' AS c FROM orders WHERE status <> E'cl\x6fsed'
SELECT id FROM orders WHERE NOT note IS NULL
SELECT NOT status IS NULL AS a, NOT qty IS NOT NULL AS b, (amount > 5) IS NOT TRUE AS c, NOT (amount > 5) IS FALSE AS d FROM orders
SELECT id, ~ id AS a FROM orders WHERE status ~ $$o.*$$ AND status !~* 'CL.*'
SELECT regexp_replace(status, $r$^(.)$r$, E'\\1\\1') AS r FROM orders
-- hostile
SELECT * FROM ONLY secrets
SELECT * FROM orders *
SELECT * FROM public.secrets
SELECT * FROM "public"."secrets"
SELECT * FROM "Orders"
SELECT * FROM "ORDERS"
SELECT "TENANT" FROM orders
SELECT * FROM pg_temp.orders
SELECT * FROM pg_stats
SELECT most_common_vals FROM pg_stats WHERE tablename = 'orders'
SELECT * FROM pg_stat_activity
SELECT * FROM information_schema.tables
SELECT * FROM pg_views
SELECT * FROM ROWS FROM (generate_series(1, 2), all_amounts()) AS x
SELECT public.all_amounts()
SELECT "all_amounts"()
SELECT orders.all_amounts FROM orders
SELECT orders.tenant FROM orders
SELECT (orders.*).tenant FROM orders
SELECT o.pg_column_size FROM orders o
SELECT row_to_json(o) ->> 'tenant' FROM orders o
SELECT to_jsonb(o) ->> 'card' FROM orders o WHERE to_jsonb(o) ->> 'card' LIKE '41%'
SELECT ctid FROM orders
SELECT o.xmin, o.tableoid FROM orders o
SELECT 'orders'::regclass
SELECT 'orders'::regclass::oid
SELECT pg_relation_size('secrets')
SELECT pg_get_viewdef('all_orders')
SELECT obj_description(1)
SELECT currval('x')
SELECT set_config('search_path', 'x', false)
SELECT current_setting('search_path')
SELECT query_to_xml('select 1', true, true, '')
SELECT table_to_xml('secrets', true, true, '')
SELECT database_to_xml(true, true, '')
SELECT cursor_to_xml('c', 1, true, true, '')
SELECT xpath('/', 'x')
SELECT ts_stat('select v from secrets')
SELECT * FROM ts_stat('select to_tsvector(v) from secrets')
SELECT * FROM dblink('x', 'select 1') AS t(a int)
SELECT lo_get(1)
SELECT pg_ls_dir('/')
SELECT pg_read_binary_file('/etc/passwd')
SELECT pg_catalog.pg_read_file('/etc/passwd')
SELECT pg_advisory_lock(1)
SELECT pg_terminate_backend(1)
SELECT pg_notify('x', 'y')
SELECT U&"\0074enant" FROM orders
SELECT * FROM U&"\0073ecrets"
SELECT E'\x27', v FROM secrets
SELECT $x$ $x$ || v FROM secrets
SELECT 1 OPERATOR(pg_catalog.+) (SELECT count(*) FROM secrets)
SELECT id FROM orders WHERE 1 / (amount - 9999) > 0
SELECT id FROM orders WHERE amount / (CASE WHEN status LIKE 'hidden%' THEN 0 ELSE 1 END) > 0
SELECT id FROM orders WHERE status::int = 1
SELECT id FROM orders o WHERE o.status::int = 1 AND o.amount > 5000
SELECT sqrt(5000 - amount) FROM orders
SELECT id FROM orders WHERE status::date > '2020-01-01'
SELECT o.id FROM orders o JOIN customers c ON c.name::int = o.id
SELECT chr(amount - 9999) FROM orders
SELECT repeat('x', amount * 1000000) IS NULL FROM orders
SELECT XMLELEMENT(NAME foo, v) FROM secrets
SELECT count(*) FROM orders TABLESAMPLE BERNOULLI (100)
SELECT * FROM orders FOR SHARE
WITH x AS (INSERT INTO orders SELECT * FROM orders RETURNING *) SELECT * FROM x
SELECT * FROM json_to_recordset('[{"a": 1}]') AS x(a int)
SELECT * FROM jsonb_populate_record(NULL::secrets, '{}')
SELECT NULL::secrets
SELECT (NULL::orders).tenant
SELECT CAST(NULL AS orders)
SELECT 'x'::"secrets"
SELECT $$x$$, v FROM secrets -- $$
SELECT $a$ FROM orders $a$, k FROM secrets
SELECT E'\' FROM orders -- ', v FROM secrets
SELECT E'a\'', (SELECT v FROM secrets LIMIT 1), '' FROM orders
SELECT 'a\', (SELECT v FROM secrets LIMIT 1), '' FROM orders
SELECT $$a$$'b', (SELECT max(v) FROM secrets) FROM orders
SELECT E'a' 'b\', v FROM secrets
SELECT $1$x$1$ FROM secrets
SELECT E'\xff' FROM orders
SELECT E'\0' FROM orders
SELECT E'\u00e9' FROM orders
