"""SQLAlchemy 2 over psycopg, unmodified: Core, ORM, reflection, IN lists, joins, savepoints, insertmanyvalues."""

import uuid
from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import Engine, ForeignKey, MetaData, Numeric, Table, create_engine, func, inspect, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, selectinload
from sqlalchemy.pool import NullPool

from tests.drivers.conftest import Twins

pytestmark = pytest.mark.server


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str]
    full_name: Mapped[str]
    phone: Mapped[str | None]
    born: Mapped[date | None]
    note: Mapped[str | None]
    orders: Mapped[list["Order"]] = relationship(back_populates="customer", cascade="all, delete-orphan")


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    total: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    customer: Mapped[Customer] = relationship(back_populates="orders")


class Newsletter(Base):
    __tablename__ = "newsletter"
    email: Mapped[str] = mapped_column(primary_key=True)


def people() -> list[Customer]:
    return [
        Customer(email="ada@example.com", full_name="Ada Quill", phone="+1 212 555 0101", born=date(1987, 4, 12)),
        Customer(email="bob@example.org", full_name="Bob Tock", note="x", orders=[Order(total=Decimal("24.90"))]),
        Customer(email="zoe@example.com", full_name="Zoë", orders=[Order(total=Decimal(1)), Order(total=Decimal(2))]),
    ]


def same(twins: Twins, script: Callable[[Engine], object]) -> object:
    results = []
    for url in twins.urls():
        engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=NullPool)
        results.append(script(engine))
        engine.dispose()
    assert results[0] == results[1]
    twins.assert_hidden()
    return results[1]


def row(customer: Customer) -> tuple[object, ...]:
    return (customer.id, customer.email, customer.full_name, customer.phone, customer.born, customer.note)


def test_orm(twins: Twins) -> None:
    def script(engine: Engine) -> object:
        seen: list[object] = []
        with Session(engine) as session:
            session.add_all(people())
            session.commit()
            seen += [row(c) for c in session.scalars(select(Customer).order_by(Customer.id))]
            ada = session.scalars(select(Customer).where(Customer.email == "ada@example.com")).one()
            ada.full_name, ada.born = "Ada Inkwell", date(1987, 4, 13)
            session.commit()
            session.refresh(ada)
            seen.append(row(ada))
            wanted = select(Customer).where(Customer.email.in_(["zoe@example.com", "bob@example.org", "x"]))
            for found in session.scalars(wanted.order_by(Customer.id).options(selectinload(Customer.orders))):
                seen.append((row(found), sorted(order.total for order in found.orders)))
            session.delete(session.scalars(select(Customer).where(Customer.full_name == "Zoë")).one())
            session.commit()
            seen.append(session.scalar(select(func.count()).select_from(Order)))
        return seen

    assert "Ada Inkwell" in str(same(twins, script))


def test_core(twins: Twins) -> None:
    def script(engine: Engine) -> object:
        customers, newsletter = Customer.__table__, Newsletter.__table__
        seen: list[object] = []
        with engine.begin() as link:
            rows = [
                {"email": f"p{i}@example.com", "full_name": f"P {i}", "born": date(2000, 1, 1 + i)} for i in range(20)
            ]
            made = link.execute(customers.insert().returning(customers.c.id, customers.c.email), rows)  # type: ignore[attr-defined]
            seen.append(sorted(map(tuple, made)))
            link.execute(upsert(newsletter).values(email="p1@example.com").on_conflict_do_nothing())  # type: ignore[arg-type]
            link.execute(upsert(newsletter).values(email="p1@example.com").on_conflict_do_nothing())  # type: ignore[arg-type]
            joined = select(customers.c.full_name, newsletter.c.email).join(
                newsletter, newsletter.c.email == customers.c.email
            )
            seen.append([tuple(each) for each in link.execute(joined)])
            link.execute(update(Customer).where(Customer.email == "p2@example.com").values(phone="+1 212 555 0199"))
            seen.append([tuple(each) for each in link.execute(select(customers).where(customers.c.phone.is_not(None)))])
            where = text("SELECT born FROM customers WHERE email = :mail AND full_name <> :name")
            seen.append([tuple(each) for each in link.execute(where, {"mail": "p3@example.com", "name": "x"})])
        return seen

    assert "p1@example.com" in str(same(twins, script))


def test_savepoints(twins: Twins) -> None:
    def script(engine: Engine) -> object:
        with Session(engine) as session:
            session.add(people()[0])
            session.flush()
            with pytest.raises(IntegrityError) as caught, session.begin_nested():
                session.add(Customer(email="ada@example.com", full_name="Again"))
                session.flush()
            with session.begin_nested():
                session.add(people()[1])
            session.commit()
            mails = list(session.scalars(select(Customer.email).order_by(Customer.id)))
            return [mails, str(caught.value.orig)]

    assert "Key (email)=(ada@example.com) already exists" in str(same(twins, script))


def test_reflection(twins: Twins) -> None:
    """Of columns as the database has them: the catalog is not dressed up."""
    url = twins.urls()[1].replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(url, poolclass=NullPool)
    assert set(inspect(engine).get_table_names()) == {"customers", "newsletter", "orders"}
    customers = Table("customers", MetaData(), autoload_with=engine)
    with engine.begin() as link:
        link.execute(customers.insert().values(email="ada@example.com", full_name="Ada"))
        found = link.execute(select(customers.c.email).where(customers.c.full_name == "Ada")).all()
    assert [tuple(each) for each in found] == [("ada@example.com",)]
    engine.dispose()
    twins.assert_hidden()
