"""A client that opens a connection for each request and closes first, until it has no port.

Arguments: the port, and how many seconds to think about each answer. Prints
`failed ERROR after COUNT`, and then does nothing more.
"""

import errno
import socket
import sys
import time

made = 0
try:
    while True:
        with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as connection:
            connection.sendall(b"request\n")
            connection.recv(100)
            time.sleep(float(sys.argv[2]))
        made += 1
except OSError as error:
    print("failed", errno.errorcode[error.errno], "after", made, flush=True)
time.sleep(600)
