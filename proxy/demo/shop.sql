-- The example shop, as its developers wrote it: nothing here knows of pgveil. One statement at a time is sent.
-- Nobody in it exists: names are invented, domains are example.com and example.org, numbers are 555-01xx.

CREATE TABLE customers (
    id        integer PRIMARY KEY,
    email     text NOT NULL UNIQUE,
    full_name text NOT NULL,
    phone     text,
    street    text,
    born      text,
    note      text
);

CREATE TABLE orders (
    id          integer PRIMARY KEY,
    customer_id integer NOT NULL REFERENCES customers,
    total       numeric(10, 2) NOT NULL,
    placed      date NOT NULL
);

CREATE TABLE newsletter (
    email text PRIMARY KEY
);

INSERT INTO customers (id, email, full_name, phone, street, born, note) VALUES
    (1, 'ada.quill@example.com',   'Ada Quill',    '+1 212 555 0101', '1 Inkwell Lane',     '1987-04-12', 'prefers mornings'),
    (2, 'bruno.tock@example.org',  'Bruno Tock',   '+1 212 555 0102', '22 Pendulum Street', '1990-11-30', NULL),
    (3, 'carla.mockery@example.com', 'Carla Mockery', NULL,           '3 Parody Place',     '1975-01-05', 'gift wrap');

INSERT INTO customers (id, email, full_name, phone, street, born, note) VALUES
    (4, 'dex.o''sample@example.org', 'Dex O''Sample', '+1 212 555 0104', NULL,             '2001-07-19', NULL);

INSERT INTO customers VALUES
    (5, 'zoe@example.com',         'Zoë Ångström', '+1 212 555 0105', '5 Umlaut Avenue',    '1968-02-29', 'calls back'),
    (6, 'finn.fable@example.org',  'Finn Fable',   '+1 212 555 0106', '66 Story Road',      '1999-12-31', NULL);

INSERT INTO orders (id, customer_id, total, placed) VALUES
    (100, 1, 24.90, '2026-01-10'),
    (101, 2, 110.00, '2026-01-12'),
    (102, 1, 7.50, '2026-02-03'),
    (103, 5, 63.25, '2026-02-14'),
    (104, 6, 18.00, '2026-03-01');

INSERT INTO newsletter (email) VALUES
    ('ada.quill@example.com'),
    ('finn.fable@example.org'),
    ('not.a.customer@example.com');
