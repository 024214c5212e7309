-- The plaintext twin has what stands before the bar of ‹plain|tokenised›, the tokenised database what stands behind it.
CREATE TABLE customers (id int PRIMARY KEY, email text UNIQUE, full_name varchar(60) DEFAULT NULL, phone text, ref uuid, street text, note text DEFAULT 'none', city varchar(20), n int NOT NULL DEFAULT 7 CHECK (n > 0));
CREATE TABLE newsletter (id int PRIMARY KEY, email text NOT NULL, topic text);
CREATE TABLE codes (id int PRIMARY KEY, code char(40) UNIQUE, name varchar(40), note char(6));
CREATE TABLE measures (id int PRIMARY KEY, born ‹date|text›, score ‹int|text›, balance ‹numeric(10,2)|text›, seen ‹timestamptz|text›, tag ‹uuid|uuid›, n int);
CREATE TABLE orders (id serial PRIMARY KEY, customer int REFERENCES customers (id), total numeric(8,2) DEFAULT 0, at date, what text[]);
CREATE TABLE products (id int PRIMARY KEY, name text UNIQUE, price numeric, tags text[], info jsonb, at timestamptz, code char(5));
CREATE SCHEMA sales;
CREATE TABLE sales.customers (id int PRIMARY KEY, email text, name text, region text);
CREATE SCHEMA tenant2;
CREATE TABLE tenant2.customers (id int PRIMARY KEY, email text, full_name text, note text);
CREATE SCHEMA "Mixed";
CREATE TABLE "Mixed"."People Table" ("Id" int PRIMARY KEY, "E-Mail" text, "select" varchar(40), "Order" text);
CREATE VIEW cheap AS SELECT id, name FROM products WHERE price < 10;
CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
