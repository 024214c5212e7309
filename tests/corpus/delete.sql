-- policy: shop

-- case: equality
DELETE FROM customers WHERE email = 'a@x' RETURNING full_name;
-- sends
DELETE FROM customers WHERE email = ‹email a@x› RETURNING full_name;
-- out: 1=person

-- case: USING
DELETE FROM customers c USING newsletter n WHERE n.email = c.email AND n.id = 5;
-- sends: same

-- case: an unprotected table with a protected subquery
DELETE FROM orders WHERE customer IN (SELECT id FROM customers WHERE email = $1);
-- sends: same
-- params: 1=email search

-- case: ONLY and IS NULL
DELETE FROM ONLY public.customers WHERE email IS NULL;
-- sends: same

-- case: untouched
DELETE FROM orders WHERE note = 'x' AND id = 1;
-- forwards
