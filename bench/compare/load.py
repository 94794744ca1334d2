"""A load generator for HTTP servers: one process, one thread, epoll; requests and their bytes are made beforehand."""

import collections
import random
import select
import socket
import time


class Connection:
    def __init__(self, host, port):
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.buffer = bytearray()
        self.needed = 0  # bytes of the reply, once its head is here
        self.status = 0
        self.head = b""  # in lower case
        self.since = 0.0

    def send(self, request, since):
        self.since, self.needed = since, 0
        sent = self.socket.send(request)
        if sent < len(request):
            self.socket.setblocking(True)
            self.socket.sendall(request[sent:])
            self.socket.setblocking(False)

    def read(self):
        """Whether the reply is complete."""
        piece = self.socket.recv(1 << 18)
        if not piece:
            raise ConnectionError("the server closed a connection")
        self.buffer += piece
        if not self.needed:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return False
            head = self.head = bytes(self.buffer[:end]).lower()
            self.status = int(head[9:12])
            at = head.find(b"content-length:")
            self.needed = end + 4 + int(head[at + 15:head.find(b"\r\n", at) if head.find(b"\r\n", at) > 0 else None])
        if len(self.buffer) < self.needed:
            return False
        del self.buffer[:self.needed]
        return True


def post(host, path, body):
    return (f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nAccept: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body  # fmt: skip


def figures(latencies, seconds, failed):
    ordered = sorted(latencies)
    at = {f"p{q}_ms": round(ordered[min(len(ordered) - 1, int(len(ordered) * q / 100))] * 1e3, 3) for q in (50, 95, 99)} if ordered else {}
    return {"requests": len(latencies), "per_s": round(len(latencies) / seconds, 1), **at, "failed": failed}


def milliseconds(head, name):
    """The value of a header, which is a time; None if there is none."""
    at = head.find(name)
    return float(head[at + len(name) + 1:].split(b"\r\n", 1)[0]) if at >= 0 else None


def closed_loop(host, port, requests, connections, seconds, warm=0.5):
    """Each connection sends its next request as soon as it has a reply. Counting begins when all of them have had one, and goes on for `seconds`
    and two replies for each, but not for more than three times as long. With one connection, `inference_p50_ms` is what the server says of
    its computation, if it does."""
    poll, clients, latencies, inference, failed, n = select.epoll(), {}, [], [], 0, 0
    for _ in range(connections):
        client = Connection(host, port)
        clients[client.socket.fileno()] = client
        poll.register(client.socket, select.EPOLLIN)
    start = now = time.perf_counter()
    begin, replies = None, 0
    for client in clients.values():
        client.send(requests[n % len(requests)], time.perf_counter())
        n += 1
    while begin is None or now < begin + seconds or (len(latencies) < 2 * connections and now < begin + 3 * seconds):
        for number, _ in poll.poll(1):
            client = clients[number]
            if not client.read():
                continue
            now = time.perf_counter()
            replies += 1
            if begin is not None:
                latencies.append(now - client.since)
                failed += client.status != 200
                if connections == 1 and (ms := milliseconds(client.head, b"x-inference-time:")) is not None:
                    inference.append(ms)
            client.send(requests[n % len(requests)], now)
            n += 1
        now = time.perf_counter()
        if begin is None and ((now > start + warm and replies >= connections) or now > start + 3 * seconds):
            begin = now
    for client in clients.values():
        client.socket.close()
    more = {"inference_p50_ms": sorted(inference)[len(inference) // 2]} if inference else {}
    return figures(latencies, now - begin, failed) | more


def open_loop(host, port, requests, connections, seconds, rate, seed=1):
    """Requests come at random times, `rate` a second on average, whether or not earlier ones are answered. Their time counts from then on."""
    rng, poll, clients = random.Random(seed), select.epoll(), {}
    for _ in range(connections):
        client = Connection(host, port)
        clients[client.socket.fileno()] = client
        poll.register(client.socket, select.EPOLLIN)
    idle, waiting, latencies, failed, n = list(clients.values()), collections.deque(), [], 0, 0
    start = now = due = time.perf_counter()
    while now < start + seconds:
        while due <= now:
            waiting.append(due)
            due += rng.expovariate(rate)
        while idle and waiting:
            idle.pop().send(requests[n % len(requests)], waiting.popleft())
            n += 1
        for number, _ in poll.poll(max(0, due - time.perf_counter())):
            client = clients[number]
            if client.read():
                latencies.append(time.perf_counter() - client.since)
                failed += client.status != 200
                idle.append(client)
        now = time.perf_counter()
    unanswered = len(clients) - len(idle) + len(waiting)
    for client in clients.values():
        client.socket.close()
    return figures(latencies, seconds, failed) | {"rate": rate, "unanswered": unanswered}
