"""An asyncio server that forgets to close: it keeps every writer in a set for ever.

Prints `listens PORT`, and `held FD` when a client has closed and its connection stays.
"""

import asyncio

connections = set()


async def serve(reader, writer):
    connections.add(writer)
    while await reader.readline():
        writer.write(b"answer\n")
        await writer.drain()
    print("held", writer.get_extra_info("socket").fileno(), flush=True)


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print("listens", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
