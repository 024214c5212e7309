"""The program of a worker process: started by a supervisor (net.crew), never by hand. Its argument is the number of the
descriptor of its channel."""

import signal
import socket
import sys

from proxy.boot import work
from proxy.cli import open_store, run_loop


def main() -> int:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the supervisor says when to look
    end = socket.socket(fileno=int(sys.argv[1]))
    run_loop(work(end, open_store))
    return 0
