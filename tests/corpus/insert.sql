-- policy: shop

-- case: many rows, NULL and DEFAULT among values
INSERT INTO customers (id, email, full_name, note)
VALUES (1, 'a@b.c', 'Ann', 'x'), (2, NULL, DEFAULT, 'y'), (3, DEFAULT, 'Cy', NULL);
-- sends
INSERT INTO customers (id, email, full_name, note)
VALUES (1, ‹email a@b.c›, ‹person Ann›, 'x'), (2, NULL, DEFAULT, 'y'), (3, DEFAULT, ‹person Cy›, NULL);

-- case: parameters
INSERT INTO customers (id, email, full_name, note) VALUES ($1, $2, $3, $4);
-- sends: same
-- params: 2=email write, 3=person write

-- case: no column list gets one
INSERT INTO customers VALUES (1, 'a@b.c', 'Ann');
-- sends
INSERT INTO customers (id, email, full_name) VALUES (1, ‹email a@b.c›, ‹person Ann›);

-- case: no column list with a dropped column (peer 11)
INSERT INTO leads VALUES (1, 'a@b.c', 'Ann', 'x');
-- sends
INSERT INTO leads (id, contact, name, note) VALUES (1, ‹email a@b.c›, ‹person Ann›, 'x');

-- case: no column list, alias
INSERT INTO newsletter AS n VALUES ($1, $2);
-- sends
INSERT INTO newsletter AS n (id, email) VALUES ($1, $2);
-- params: 2=email write

-- case: DEFAULT VALUES
INSERT INTO customers DEFAULT VALUES;
-- sends: same

-- case: RETURNING
INSERT INTO customers (id, email) VALUES (1, 'a@b.c') RETURNING id, email AS mail, *;
-- sends
INSERT INTO customers (id, email) VALUES (1, ‹email a@b.c›) RETURNING id, email AS mail, *;
-- out: 2=email, 4=email, 5=person, 6=phone, 7=street, 8=birthday

-- case: ON CONFLICT DO UPDATE with a literal (peer 1)
INSERT INTO customers (id, email) VALUES (1, 'a@x') ON CONFLICT (id) DO UPDATE SET email = 'b@x';
-- sends
INSERT INTO customers (id, email) VALUES (1, ‹email a@x›) ON CONFLICT (id) DO UPDATE SET email = ‹email b@x›;

-- case: ON CONFLICT DO UPDATE with EXCLUDED (peer 1)
INSERT INTO customers (id, email) VALUES (1, 'a@x') ON CONFLICT (email) DO UPDATE SET email = excluded.email, note = 'again';
-- sends
INSERT INTO customers (id, email) VALUES (1, ‹email a@x›) ON CONFLICT (email) DO UPDATE SET email = excluded.email, note = 'again';

-- case: ON CONFLICT with parameters and WHERE (peer 3)
INSERT INTO customers (id, email) VALUES ($1, $2), (2, 'b@x') ON CONFLICT (id) DO UPDATE SET email = $3 WHERE customers.email <> $4;
-- sends
INSERT INTO customers (id, email) VALUES ($1, $2), (2, ‹email b@x›) ON CONFLICT (id) DO UPDATE SET email = $3 WHERE customers.email <> $4;
-- params: 2=email write, 3=email write, 4=email search

-- case: cast around a parameter (peer 4)
INSERT INTO customers (id, full_name) VALUES ($1, $2::varchar(20));
-- sends
INSERT INTO customers (id, full_name) VALUES ($1, $2);
-- params: 2=person write ::varchar(20)

-- case: one parameter for a protected and a plain column
INSERT INTO customers (id, email, note) VALUES ($1, $2, $2);
-- sends
INSERT INTO customers (id, email, note) VALUES ($1, $2, $3);
-- params: 2=email write, 3=$2

-- case: a function makes the value (peer 4)
INSERT INTO customers (id, email) VALUES (1, lower($1));
-- refused: unsupported-expression public.customers.email

-- case: COALESCE of values
INSERT INTO customers (id, email, full_name) VALUES (1, coalesce($1, 'a@x'), coalesce(NULL::text, $2::varchar(20), 'b'));
-- sends
INSERT INTO customers (id, email, full_name) VALUES (1, coalesce($1, ‹email a@x›), coalesce(NULL, $2, ‹person b›));
-- params: 1=email write, 2=person write ::varchar(20)

-- case: COALESCE of a value and what is not known
INSERT INTO customers (id, email) VALUES (1, coalesce($1, current_user));
-- refused: unsupported-expression public.customers.email

-- case: GREATEST of values
INSERT INTO customers (id, email) VALUES (1, greatest($1, 'a@x'));
-- refused: unsupported-expression public.customers.email

-- case: no empty strings
INSERT INTO customers (id, email, phone) VALUES (1, nullif($1, ''), nullif('', ''));
-- sends
INSERT INTO customers (id, email, phone) VALUES (1, nullif($1, ‹email ›), nullif(‹phone ›, ‹phone ›));
-- params: 1=email write

-- case: Django's batches, arrays for each column
INSERT INTO "customers" ("email", "note", "born") SELECT * FROM UNNEST(($1)::varchar[], ($2)::integer[], ($3)::date[]) RETURNING "customers"."id";
-- sends
INSERT INTO "customers" ("email", "note", "born") SELECT * FROM UNNEST($1, ($2)::integer[], $3) RETURNING "customers"."id";
-- params: 1=email write[] ::varchar, 3=birthday write[] ::date

-- case: Django's batches with values in the text
INSERT INTO customers (email, note) SELECT * FROM UNNEST(('{a@x,b@x}')::varchar(254)[], ('{1,2}')::integer[]) ON CONFLICT DO NOTHING;
-- sends
INSERT INTO customers (email, note) SELECT * FROM UNNEST(‹email[] {a@x,b@x}›::text[], ('{1,2}')::integer[]) ON CONFLICT DO NOTHING;
-- in: email write[] ::varchar(254)

-- case: arrays for uuid columns, and ARRAY
INSERT INTO accounts (holder, code) SELECT h, c FROM unnest('{6f2c2b1e-0c46-4d07-a1f5-6a5c3f0e8a11}'::uuid[], ARRAY['x', $1]) AS u(h, c);
-- sends
INSERT INTO accounts (holder, code) SELECT h, c FROM unnest(‹holder[] {6f2c2b1e-0c46-4d07-a1f5-6a5c3f0e8a11}›::uuid[], ARRAY[‹holder x›, $1]) AS u(h, c);
-- params: 1=holder write

-- case: arrays, one of them of rows
INSERT INTO customers (email, note) SELECT * FROM unnest($1::text[], $2::orders[]);
-- refused: unsupported-statement

-- case: unless it is there
INSERT INTO customers (id, email) SELECT * FROM (SELECT 1, 'a@x') AS tmp WHERE NOT EXISTS (SELECT 1 FROM customers WHERE email = 'a@x') LIMIT 1;
-- sends
INSERT INTO customers (id, email) SELECT * FROM (SELECT 1, ‹email a@x›) AS tmp WHERE NOT EXISTS (SELECT 1 FROM customers WHERE email = ‹email a@x›) LIMIT 1;
-- in: email search, email write

-- case: unless it is there, the value given once
WITH v AS (SELECT $1 AS email, 5 AS id) INSERT INTO customers (id, email) SELECT id, email FROM v WHERE NOT EXISTS (SELECT 1 FROM customers c WHERE c.email = v.email);
-- sends: same
-- params: 1=email write+search

-- case: rows by UNION ALL
INSERT INTO newsletter (id, email) SELECT 1, 'a@x' UNION ALL SELECT 2, $1::varchar(20) UNION ALL VALUES (3, NULL);
-- sends
INSERT INTO newsletter (id, email) SELECT 1, ‹email a@x› UNION ALL SELECT 2, $1 UNION ALL VALUES (3, NULL);
-- params: 1=email write ::varchar(20)

-- case: rows by UNION
INSERT INTO newsletter (id, email) SELECT 1, 'a@x' UNION SELECT 2, $1;
-- refused: unsupported-expression public.newsletter.email

-- case: concatenation makes the value
INSERT INTO customers (id, email) VALUES (1, 'a' || '@x');
-- refused: unsupported-expression public.customers.email

-- case: rows from a table of the same class
INSERT INTO newsletter (id, email) SELECT id, email FROM customers WHERE note = 'yes';
-- sends: same

-- case: rows from a table of another class
INSERT INTO newsletter (id, email) SELECT id, full_name FROM customers;
-- refused: class-mismatch

-- case: protected values into an unprotected column
INSERT INTO customers_archive (id, email) SELECT id, email FROM customers;
-- refused: unprotected-target

-- case: into an unprotected table of the same name elsewhere
INSERT INTO sales.customers (id, email) VALUES (1, 'a@b.c');
-- forwards

-- case: search_path decides which table it is (peer 20)
-- search_path: sales, public
INSERT INTO customers (id, email) VALUES (1, 'a@b.c');
-- forwards

-- case: quoted mixed-case names
INSERT INTO "Odd"."Customer Data" (id, "E-Mail") VALUES (1, 'a@b.c');
-- sends
INSERT INTO "Odd"."Customer Data" (id, "E-Mail") VALUES (1, ‹email a@b.c›);

-- case: no column list, names that need quotes
INSERT INTO "Odd"."Customer Data" VALUES (1, 'a@b.c', 'x') RETURNING "E-Mail";
-- sends
INSERT INTO "Odd"."Customer Data" (id, "E-Mail", "Note") VALUES (1, ‹email a@b.c›, 'x') RETURNING "E-Mail";
-- out: 1=email

-- case: SQLAlchemy's batches, a SELECT of a VALUES list
INSERT INTO customers (id, email, born) SELECT p0::INTEGER, p1::VARCHAR, p2::DATE
FROM (VALUES ('1', 'a@b.c', '2000-01-02', 0), ('2', NULL, NULL, 1)) AS s(p0, p1, p2, n)
ORDER BY n RETURNING customers.id, customers.email;
-- sends
INSERT INTO customers (id, email, born) SELECT p0::INTEGER, p1, p2
FROM (VALUES ('1', ‹email a@b.c›, ‹birthday 2000-01-02›, 0), ('2', NULL, NULL, 1)) AS s(p0, p1, p2, n)
ORDER BY n RETURNING customers.id, customers.email;
-- out: 2=email

-- case: a VALUES list on its way into two classes
INSERT INTO customers (id, email, phone) SELECT a, b, b FROM (VALUES (1, 'a@b.c')) AS s(a, b);
-- refused: class-mismatch public.customers.phone

-- case: a VALUES list that is also stored in clear
INSERT INTO customers (id, email, note) SELECT a, b, b FROM (VALUES (1, 'a@b.c')) AS s(a, b);
-- refused: unprotected-target public.customers.email

-- case: SQLAlchemy's batches with the lengths of the types
INSERT INTO accounts (holder, code) SELECT p0::uuid, p1::CHAR(40) FROM (VALUES ('6f2c2b1e-0c46-4d07-a1f5-6a5c3f0e8a11', $1, 0), ($2, 'x', 1)) AS imp_sen(p0, p1, sen_counter) ORDER BY sen_counter RETURNING id;
-- sends
INSERT INTO accounts (holder, code) SELECT p0, p1 FROM (VALUES (‹holder 6f2c2b1e-0c46-4d07-a1f5-6a5c3f0e8a11›::uuid, $1, 0), ($2, ‹holder x›, 1)) AS imp_sen(p0, p1, sen_counter) ORDER BY sen_counter RETURNING id;
-- params: 1=holder write ::bpchar(40), 2=holder write ::uuid

-- case: a VALUES list that is sorted by what becomes a token
INSERT INTO customers (id, email) SELECT a, b FROM (VALUES (1, 'a@b.c')) AS s(a, b) ORDER BY b;
-- refused: unsupported-expression public.customers.email
