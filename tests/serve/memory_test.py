#!/usr/bin/env python3
"""Memory does not grow with the number of requests: resident memory after 1,000 and after 100,000 requests of all routes differs by under 2%, or
by under 1 MB where a small process makes more of that.

Usage: memory_test.py MINBERT [--model MODEL] [--requests N]. Without --model, a small model is trained.
"""

import argparse
import itertools
import json
import random
import re
import socket
import sys
import tempfile
import threading
import time

import mixing_test
import served


def bodies_of(program, seed=1):
    """Requests of all routes, kinds and sizes, as bytes."""
    singles = mixing_test.texts_of(200, 60, seed)
    pairs = list(map(list, zip(mixing_test.texts_of(100, 60, seed + 1), mixing_test.texts_of(100, 30, seed + 2))))
    rng, out = random.Random(seed), []
    for kind in mixing_test.kinds_of(program.json("/info")["tasks"], singles, pairs).values():
        for _ in range(40):
            body = json.dumps(kind.body([rng.choice(kind.elements) for _ in range(rng.choice([1, 1, 2, rng.randint(1, 20)]))])).encode()
            out.append(f"POST {kind.path} HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    out.append(b"POST /embed HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n{[}")
    out += [f"GET {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode() for path in ("/metrics", "/info", "/none")]
    return out


def ask(port, bodies, count, seed):
    """Sends `count` random requests, 50 at a time on one connection, and reads all replies."""
    rng, connection = random.Random(seed), socket.create_connection(("127.0.0.1", port), timeout=300)
    reader = connection.makefile("rb")
    while count > 0:
        part = min(50, count)
        count -= part
        # Replies are read meanwhile, for the server does not read on while it cannot write.
        sender = threading.Thread(target=connection.sendall, args=(b"".join(rng.choice(bodies) for _ in range(part)),))
        sender.start()
        for _ in range(part):
            length = 0
            while (line := reader.readline()) != b"\r\n":
                if not line:
                    raise ConnectionError("the server closed a connection")
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            while length > 0:
                length -= len(reader.read(min(length, 1 << 20)))
        sender.join()
    connection.close()


def resident(program):
    return int(float(re.search(r"^process_resident_memory_bytes (\S+)", program.ask("/metrics")[2], re.MULTILINE)[1]))


def main():
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("minbert")
    flags.add_argument("--model")
    flags.add_argument("--requests", type=int, default=100_000)
    o = flags.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        program = served.Program(o.minbert, o.model or served.train(o.minbert, scratch), "--no-access-log", "--threads", 2)
        bodies, done, sizes, start = bodies_of(program), 0, {}, time.perf_counter()
        for target in (o.requests * tenths // 10 for tenths in (1, 4, 7, 10)):
            share = (target - done) // 4
            threads = [threading.Thread(target=ask, args=(program.port, bodies, share, f"{target} {i}")) for i in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            done = target
            sizes[target] = resident(program)
            print(f"{target} requests, {time.perf_counter() - start:.0f} s: {sizes[target] / 1e6:.1f} MB", flush=True)
        code, rest = program.stop()
    # A leak grows in every stretch; an allocator that takes one more arena grows in one.
    stretches = [later - earlier for earlier, later in itertools.pairwise(sizes.values())]
    print("growth by stretch:", *(f"{growth:+,}" for growth in stretches), "bytes")
    return int(code != 0 or min(stretches) > 1_000_000)


if __name__ == "__main__":
    sys.exit(main())
