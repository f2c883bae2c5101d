"""A server with a thread for each connection.

With the argument `stuck` a thread answers once and then waits for ever, as for a lock that
nobody gives back; with a number it closes so many seconds after its client.
Prints `listens PORT`, and `held FD` for a connection whose thread is stuck.
"""

import os
import socketserver
import sys
import threading
import time

until_close = sys.argv[1]


def say(*words):
    # One write, so that the lines of two threads do not mix.
    os.write(sys.stdout.fileno(), (" ".join(map(str, words)) + "\n").encode())


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        self.rfile.readline()
        self.wfile.write(b"answer\n")
        if until_close == "stuck":
            say("held", self.request.fileno())
            threading.Event().wait()
        while self.rfile.readline():
            pass
        time.sleep(float(until_close))


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128


with Server(("127.0.0.1", 0), Handler) as server:
    say("listens", server.server_address[1])
    server.serve_forever()
