"""A server that accepts and never closes.

Arguments: an address, a port, and how many connections it waits for. Prints `listens`, and
`held` when it has them all. It ends with its standard input.
"""

import socket
import sys

address, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
listener = socket.create_server((address, port), backlog=4096)
print("listens", flush=True)
connections = [listener.accept() for _ in range(count)]
print("held", flush=True)
sys.stdin.read()
