-- policy: shop
-- Every way to write a value, in a write and in a search.

-- case: plain string
INSERT INTO customers (id, email) VALUES (1, 'a@b.c');
-- sends
INSERT INTO customers (id, email) VALUES (1, ‹email a@b.c›);
-- in: email write

-- case: doubled quotes
INSERT INTO customers (id, full_name) VALUES (1, 'O''Brien');
-- sends
INSERT INTO customers (id, full_name) VALUES (1, ‹person O'Brien›);

-- case: escape string
INSERT INTO customers (id, full_name) VALUES (1, E'O\'Brien\x41\u00e9');
-- sends
INSERT INTO customers (id, full_name) VALUES (1, ‹person O'BrienAé›);

-- case: dollar quotes
INSERT INTO customers (id, full_name) VALUES (1, $$O'Brien$$), (2, $n$a $$ b$n$);
-- sends
INSERT INTO customers (id, full_name) VALUES (1, ‹person O'Brien›), (2, ‹person a $$ b›);

-- case: unicode string with and without UESCAPE
INSERT INTO customers (id, full_name, email) VALUES (1, U&'d\0061t', U&'a!0040b' UESCAPE '!');
-- sends
INSERT INTO customers (id, full_name, email) VALUES (1, ‹person dat›, ‹email a@b›);

-- case: continued string with a comment between
INSERT INTO customers (id, email) VALUES (1, 'a@b'  -- it's
  '.c');
-- sends
INSERT INTO customers (id, email) VALUES (1, ‹email a@b.c›);

-- case: backslashes are plain while standard_conforming_strings is on
SELECT id FROM customers WHERE full_name = 'a\' AND note = 'b';
-- sends
SELECT id FROM customers WHERE full_name = ‹person a\› AND note = 'b';

-- case: backslashes escape while standard_conforming_strings is off
-- scs: off
SELECT id FROM customers WHERE full_name = 'a\' AND note = ' AND note = 'b';
-- sends
SELECT id FROM customers WHERE full_name = ‹person a' AND note = › AND note = 'b';

-- case: empty string is a value
UPDATE customers SET email = '' WHERE id = 1;
-- sends
UPDATE customers SET email = ‹email › WHERE id = 1;

-- case: NULL stays
INSERT INTO customers (id, email, full_name) VALUES (1, NULL, NULL::text);
-- sends: same

-- case: a cast goes with its value
UPDATE customers SET full_name = 'Ann'::varchar(50) WHERE id = 1;
-- sends
UPDATE customers SET full_name = ‹person Ann› WHERE id = 1;
-- in: person write ::varchar(50)

-- case: nested casts, innermost first
UPDATE customers SET full_name = CAST('Ann'::varchar(50) AS text) WHERE id = 1;
-- sends
UPDATE customers SET full_name = ‹person Ann› WHERE id = 1;
-- in: person write ::varchar(50) ::text

-- case: parentheses
UPDATE customers SET email = (('a@b.c')) WHERE id = 1;
-- sends
UPDATE customers SET email = ((‹email a@b.c›)) WHERE id = 1;

-- case: typed constant for a date
INSERT INTO customers (id, born) VALUES (1, date '2000-01-02');
-- sends
INSERT INTO customers (id, born) VALUES (1, ‹birthday 2000-01-02›);

-- case: a number for a numeric column, with its sign
INSERT INTO accounts (id, balance) VALUES ('6f2c2b1e-0c46-4d07-a1f5-6a5c3f0e8a11', -12.50);
-- sends
INSERT INTO accounts (id, balance) VALUES ('6f2c2b1e-0c46-4d07-a1f5-6a5c3f0e8a11', ‹money -12.50›);

-- case: a sign right behind an operator, brackets behind a sign
SELECT opened FROM accounts WHERE balance=-(12.50) AND balance <>-1;
-- sends
SELECT opened FROM accounts WHERE balance=‹money -12.50› AND balance <>‹money -1›;

-- case: no quotes glued to a word
SELECT id FROM customers WHERE email IN('a@b.c')AND note='x';
-- sends
SELECT id FROM customers WHERE email IN(‹email a@b.c›)AND note='x';

-- case: a date written as a bit string is no value
INSERT INTO customers (id, email) VALUES (1, B'01');
-- refused: unsupported-expression
