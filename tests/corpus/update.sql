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
-- refused: unsupported-expression public.customers.email

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
-- refused: depends-on-protected

-- case: one parameter written and looked for
UPDATE customers SET email = $1 WHERE email <> $1;
-- sends: same
-- params: 1=email write

-- case: one parameter in two classes
UPDATE customers SET email = $1, full_name = $1 WHERE id = $2;
-- sends
UPDATE customers SET email = $1, full_name = $3 WHERE id = $2;
-- params: 1=email write, 3=$1 person write
