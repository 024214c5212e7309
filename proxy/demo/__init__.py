"""`pgveil demo`: a whole demonstration on a machine where nothing else is installed.

Not part of the running product: it starts it. A PostgreSQL of its own (embedded), pgveil as a real process before it
(sidecar), an example shop loaded through pgveil and looked at from every side (tour). Invariant: when it ends, in
whatever way, no process, file or socket of it is left.
"""

import asyncio
import contextlib
import os
import sys
import time
from typing import Final

import asyncpg

from proxy.demo import embedded, sidecar, tour
from proxy.demo.children import DemoFault, Interrupts
from proxy.demo.embedded import Embedded
from proxy.demo.screen import Screen
from proxy.demo.sidecar import Sidecar
from proxy.demo.tour import DATABASE, PASSWORD, Tour

LOOK: Final = 0.2  # seconds between looks at whether both still run
INTERRUPTED: Final = 130  # what shells give a command that SIGINT ended


def demo(once: bool, port: int, admin_port: int) -> int:
    """Show it; unless `once`, stay until a signal. port, admin_port: 0 for free ones. The exit code."""
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal may not have every letter
    shown = False
    stack = contextlib.ExitStack()
    with Interrupts() as interrupts:
        try:
            server, veil = _show(Screen(sys.stdout), port, admin_port, interrupts, stack)
            shown = True
            if not once:
                _stay(Screen(sys.stdout), server, veil)
        except KeyboardInterrupt:
            print(file=sys.stderr)
            return 0 if shown else INTERRUPTED
        except DemoFault as fault:
            print(f"pgveil demo: {fault}", file=sys.stderr)
            return fault.code
        except BrokenPipeError:  # `| head`: nobody reads on
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            print(f"pgveil demo: it failed: {type(error).__name__}: {error}", file=sys.stderr)
            return 1
        finally:
            interrupts.ignore()
            stack.close()
    return 0


def _show(
    screen: Screen, port: int, admin_port: int, interrupts: Interrupts, stack: contextlib.ExitStack
) -> tuple[Embedded, Sidecar]:
    """Start everything and go round. Raises DemoFault."""
    for number, option in ((port, "--port"), (admin_port, "--admin-port")):
        sidecar.must_be_free(number, option)
    began = time.monotonic()
    server = embedded.start(interrupts, stack)
    catalog = asyncio.run(tour.prepare(server))
    veil = sidecar.start(server, catalog, port, admin_port, interrupts, stack)
    count = asyncio.run(tour.load(veil))
    screen.say(
        f"PostgreSQL 18, a SQLite vault with a fresh key, and pgveil between: up in {time.monotonic() - began:.1f} s.",
        f"The shop was loaded through pgveil ({count} statements, policy policies/shop.yaml).",
    )
    going_round = Tour(screen, veil, server)
    asyncio.run(going_round.show())
    going_round.audit()
    return server, veil


def _stay(screen: Screen, server: Embedded, veil: Sidecar) -> None:
    """Raises KeyboardInterrupt at a signal, DemoFault if one of both ends by itself."""
    psql = embedded.psql()
    screen.title("Look around; Ctrl-C stops all of it and leaves nothing behind")
    for account, what in (("shop_app", "the application"), ("support", "masks"), ("analyst", "tokens")):
        screen.say(f"{what:16} {psql} {veil.url(account, PASSWORD, DATABASE)}")
    screen.say(
        f"{'the database':16} {psql} {server.url('dba', PASSWORD, DATABASE)}",
        f"{'audit trail':16} {sys.executable} -m proxy.cli audit tail -c {veil.config}",
        f"{'metrics':16} http://127.0.0.1:{veil.admin_port}/metrics",
        f"{'configuration':16} {veil.config}",
    )
    while True:
        for child in (server.child, veil.child):
            if not child.running:
                raise child.complaint()
        time.sleep(LOOK)
