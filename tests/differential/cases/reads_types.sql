-- schema: shop

-- Results whose type loses its modifier, and functions that ask about values or give one as it is.
SELECT CASE WHEN id > 0 THEN code END, CASE WHEN id > 1 THEN full_name END FROM codes JOIN customers USING (id);
SELECT CASE WHEN id = 1 THEN born END, CASE WHEN id = 1 THEN balance ELSE balance END, CASE id WHEN 1 THEN balance END FROM measures;
SELECT COALESCE(code, NULL), COALESCE(full_name, NULL) FROM codes JOIN customers USING (id);
SELECT * FROM (SELECT code, id FROM codes UNION ALL SELECT NULL, 7) x WHERE code = 'A-1';
SELECT CASE WHEN c.id = 1 THEN s.name ELSE c.full_name END FROM customers c JOIN sales.customers s USING (id);
SELECT CASE WHEN c.id = 1 THEN c.full_name ELSE s.name END FROM customers c JOIN sales.customers s USING (id);
SELECT COALESCE(s.name, c.full_name), COALESCE(c.full_name, s.name) FROM customers c JOIN sales.customers s USING (id);
SELECT id, lag(email) OVER (ORDER BY id), lead(full_name, 2) OVER w, first_value(email) OVER w, last_value(phone) OVER w, nth_value(email, 2) OVER w FROM customers WINDOW w AS (ORDER BY id) ORDER BY id;
SELECT id, lag(code) OVER (ORDER BY id), lag(name) OVER (ORDER BY id) FROM codes ORDER BY id;
SELECT id, lag(born) OVER (ORDER BY id), lag(balance) OVER (ORDER BY id), lag(tag) OVER (ORDER BY id), lead(seen) OVER (ORDER BY id) FROM measures ORDER BY id;
SELECT id, lag(street) OVER (ORDER BY id) FROM customers ORDER BY id;
-- refused
SELECT lag(email, 1, NULL) OVER (ORDER BY id) FROM customers;
-- refused
SELECT lag(email, 1, 'none') OVER (ORDER BY id) FROM customers;
SELECT any_value(email), any_value(balance) FROM customers JOIN measures USING (id) WHERE id = 1;
SELECT any_value(full_name) FILTER (WHERE id = 1) FROM customers;
SELECT count(c), count(c.*), count(DISTINCT (c.email, c.full_name)), count((email, note)) FROM customers c;
-- refused
SELECT count(DISTINCT c) FROM customers c;
-- refused
SELECT count(DISTINCT (street, email)) FROM customers;
SELECT id, num_nulls(email, full_name, note), num_nonnulls(street, phone) FROM customers ORDER BY id;
SELECT id FROM customers WHERE num_nonnulls(email, 'x') = 2 ORDER BY id;
SELECT email FROM customers WHERE pg_catalog.num_nulls(email) = 0 ORDER BY id;
SELECT count(x) FROM (SELECT email, n FROM customers) x;
SELECT count(x) FROM (VALUES (1, 'a')) x;
