"""An HTTP server that lets its clients expect to be kept, and closes when its argument's
seconds have passed after the answer.

Prints `listens PORT`, and `closes` a moment before it does.
"""

import os
import socketserver
import sys
import time

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nhello\n"


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        while self.rfile.readline().strip():
            pass
        self.wfile.write(ANSWER)
        time.sleep(float(sys.argv[1]))
        # One write, so that the lines of two threads do not mix.
        os.write(sys.stdout.fileno(), b"closes\n")
        time.sleep(0.1)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


with Server(("127.0.0.1", 0), Handler) as server:
    print("listens", server.server_address[1], flush=True)
    server.serve_forever()
