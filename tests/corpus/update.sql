-- policy: shop

-- case: set and search
UPDATE customers SET email = 'b@x', note = 'moved' WHERE email = 'a@x';
-- sends
UPDATE customers SET email = ‹email b@x›, note = 'moved' WHERE email = ‹email a@x›;
-- in: email write, email search

-- case: two protected columns with parameters out of order (peer 18)
UPDATE customers SET phone = $2, email = $1 WHERE id = $3;
-- sends: same
-- params: 1=email write, 2=phone write

-- case: row assignment
UPDATE customers SET (email, note, full_name) = ('a@x', 'n', 'Ann') WHERE id = 1;
-- sends
UPDATE customers SET (email, note, full_name) = (‹email a@x›, 'n', ‹person Ann›) WHERE id = 1;

-- case: ROW assignment (peer 7)
UPDATE customers SET (email, phone) = ROW('a@x', '+1') WHERE id = 1;
-- sends
UPDATE customers SET (email, phone) = ROW(‹email a@x›, ‹phone +1›) WHERE id = 1;

-- case: assignment from a subquery of the same class
UPDATE customers c SET email = (SELECT n.email FROM newsletter n WHERE n.id = c.id);
-- sends: same

-- case: NULL and DEFAULT
UPDATE customers SET email = NULL, full_name = DEFAULT;
-- sends: same

-- case: FROM and RETURNING
UPDATE customers AS c SET note = o.note FROM orders o WHERE o.customer = c.id AND c.email = $1 RETURNING c.email, o.id;
-- sends: same
-- params: 1=email search
-- out: 1=email

-- case: same column to itself
UPDATE newsletter SET email = c.email FROM customers c WHERE c.id = newsletter.id;
-- sends: same

-- case: CASE over values (peer 5)
UPDATE customers SET email = CASE id WHEN 1 THEN 'a@x' ELSE email END;
-- sends
UPDATE customers SET email = CASE id WHEN 1 THEN ‹email a@x› ELSE email END;

-- case: Django's bulk_update
UPDATE "customers" SET "email" = (CASE WHEN ("customers"."id" = 1) THEN 'a@x' WHEN ("customers"."id" = $2) THEN $1 ELSE NULL END)::varchar(50), born = CAST(CASE WHEN id = 1 THEN $3 ELSE NULL END AS date) WHERE "customers"."id" IN (1, 2);
-- sends
UPDATE "customers" SET "email" = (CASE WHEN ("customers"."id" = 1) THEN ‹email a@x› WHEN ("customers"."id" = $2) THEN $1 ELSE NULL END), born = (CASE WHEN id = 1 THEN $3 ELSE NULL END ) WHERE "customers"."id" IN (1, 2);
-- params: 1=email write ::varchar(50), 3=birthday write ::date

-- case: CASE of values of two types
UPDATE customers SET born = CASE WHEN id = 1 THEN $1::date ELSE $2::text END;
-- refused: unsupported-expression public.customers.born

-- case: what is given, else what is there
UPDATE customers SET email = COALESCE($1, email), full_name = CASE WHEN $2 THEN full_name ELSE NULL END WHERE id = $3;
-- sends: same
-- params: 1=email write

-- case: from a VALUES list
UPDATE customers SET email = v.email FROM (VALUES ($1,$2),($3,$4)) AS v(id,email) WHERE customers.id = v.id::int;
-- sends: same
-- params: 2=email write, 4=email write

-- case: from a VALUES list, what is given there, where it differs
UPDATE customers c SET email = COALESCE(v.email, c.email) FROM (VALUES (1,'a@x'),(2,NULL)) AS v(id,email) WHERE c.id = v.id AND c.email <> v.email;
-- sends
UPDATE customers c SET email = COALESCE(v.email, c.email) FROM (VALUES (1,‹email a@x›),(2,NULL)) AS v(id,email) WHERE c.id = v.id AND c.email <> v.email;
-- in: email write+search

-- case: from a VALUES list in WITH
WITH v(id,email) AS (VALUES (1,$1)) UPDATE customers SET email = v.email FROM v WHERE v.id = customers.id;
-- sends: same
-- params: 1=email write

-- case: from arrays
UPDATE customers c SET email = d.email FROM (SELECT unnest($1::int[]) AS id, unnest($2::text[]) AS email) AS d WHERE c.id = d.id;
-- sends
UPDATE customers c SET email = d.email FROM (SELECT unnest($1::int[]) AS id, unnest($2) AS email) AS d WHERE c.id = d.id;
-- params: 2=email write[] ::text

-- case: a value for one column and another's test
UPDATE customers SET (email, note) = (SELECT 'a@x', 'b') WHERE id = 1;
-- sends
UPDATE customers SET (email, note) = (SELECT ‹email a@x›, 'b') WHERE id = 1;

-- case: concatenation with a protected column (peer 6)
UPDATE customers SET email = email || '.uk';
-- refused: unsupported-expression public.customers.email

-- case: another class
UPDATE customers SET full_name = email;
-- refused: class-mismatch

-- case: protected into plain
UPDATE customers SET note = email;
-- refused: unprotected-target

-- case: through a view
UPDATE names SET full_name = 'Ann';
-- sends
UPDATE names SET full_name = ‹person Ann›;

-- case: one parameter written and looked for
UPDATE customers SET email = $1 WHERE email <> $1;
-- sends: same
-- params: 1=email write

-- case: one parameter in two classes
UPDATE customers SET email = $1, full_name = $1 WHERE id = $2;
-- sends
UPDATE customers SET email = $1, full_name = $3 WHERE id = $2;
-- params: 1=email write, 3=$1 person write
