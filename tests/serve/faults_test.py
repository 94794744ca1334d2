#!/usr/bin/env python3
"""What is wrong with requests, clients and folders gets an answer, and the next good request is right.

Usage: faults_test.py MINBERT. With -v as the last argument, each fault is printed with what was answered.
"""

import http.client
import json
import pathlib
import shutil
import signal
import socket
import struct
import sys
import tempfile
import threading
import time
import unittest

import served

MINBERT, VERBOSE = sys.argv[1], sys.argv[-1] == "-v"
GOOD = {"inputs": ["a quiet river", "the old city"]}
# A good body for each route, and members that it may have beside.
BODIES = {
    "/predict": {"inputs": "a river", "task": "my", "raw_scores": False, "truncate": True, "truncation_direction": "left"},
    "/v1/explain": {"text": "a", "text_pair": "b", "task": "para", "truncate": True, "truncation_direction": "left"},
    "/v1/analyze": {"inputs": [{"id": "1", "text": "a", "text_pair": "b"}], "tasks": ["para"], "truncate": True, "truncation_direction": "left"},
    "/embed": {"inputs": "a", "truncate": True, "truncation_direction": "left", "normalize": True, "dimensions": 4, "prompt_name": "query"},
    "/embed_all": {"inputs": "a", "truncate": True, "truncation_direction": "left", "prompt_name": "query"},
    "/v1/embeddings": {"input": "a", "model": "m", "encoding_format": "float", "dimensions": 4, "user": "u"},
    "/embeddings": {"input": "a", "model": "m", "encoding_format": "base64", "dimensions": 4, "user": "u"},
    "/similarity": {"inputs": {"source_sentence": "a", "sentences": ["b"]}, "parameters": {"truncate": True, "truncation_direction": "left", "prompt_name": "query"},
                    "task": "para"},
    "/rerank": {"query": "a", "texts": ["b"], "truncate": True, "truncation_direction": "left", "raw_scores": True, "return_text": True, "prompt_name": "query", "task": "near"},
    "/v1/rerank": {"model": "m", "query": "a", "documents": ["b", "c"], "top_n": 1, "return_documents": True, "truncate": True, "truncation_direction": "left", "prompt_name": "query", "task": "near"},
    "/tokenize": {"inputs": "a", "add_special_tokens": True, "prompt_name": "query"},
}  # fmt: skip


def raw(body, path="/embed", length=None):
    body = body if isinstance(body, bytes) else body.encode()
    return f"POST {path} HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: {len(body) if length is None else length}\r\n\r\n".encode() + body


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)

    def send(self, data):
        self.socket.sendall(data)
        return self

    def status(self):
        """The status of the next reply, whose body is read; 0 if the connection ended instead."""
        reply = http.client.HTTPResponse(self.socket, method="POST")
        try:
            reply.begin()
            self.text = reply.read().decode()
            return reply.status
        except (ConnectionError, http.client.HTTPException):
            return 0

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def wrong_values(value):
    """(path, body) for each member of a body, with each JSON type that it does not take in its place."""
    types = [True, 1.5, -1, "\u0001", [1.5], [[[]]], {"": 0}]

    def replaced(at, path):
        members = at.items() if isinstance(at, dict) else enumerate(at)
        for key, old in list(members):
            for new in types:
                same_type = type(new) is type(old) and not isinstance(new, list) and (key != "inputs" or isinstance(new, str))
                if same_type or (key == "id" and type(new) in (int, float)):
                    continue
                at[key] = new
                yield [*path, key], json.loads(json.dumps(value))
            at[key] = old
            if isinstance(old, (dict, list)):
                yield from replaced(old, [*path, key])

    yield from replaced(value, [])


class FaultsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.scratch.name)
        cls.model = served.train(MINBERT, cls.folder)
        cls.program = cls.serve()
        cls.good = cls.program.json("/embed", GOOD)

    @classmethod
    def serve(cls, *flags, model=None):
        program = served.Program(MINBERT, model or cls.model, "--no-access-log", *flags)
        cls.addClassCleanup(program.stop, signal.SIGKILL)  # if a test fails
        return program

    @classmethod
    def tearDownClass(cls):
        code, rest = cls.program.stop()
        cls.scratch.cleanup()
        assert code == 0, rest

    def tearDown(self):
        self.assertEqual(self.program.json("/embed", GOOD), self.good)

    def client(self):
        return Client(self.program.port)

    def tell(self, fault, answer):
        if VERBOSE:
            print(f"{fault}: {answer}", flush=True)

    def expect(self, fault, data, status, words=""):
        client = self.client().send(data)
        got = client.status()
        self.tell(fault, f"{got} {client.text[:120]}" if got else "the connection ended")
        self.assertEqual(got, status, fault)
        if status:
            self.assertIn(words, client.text)
        self.assertEqual(self.program.json("/embed", GOOD), self.good, fault)

    def test_bodies(self):
        self.expect("no JSON", raw("not JSON"), 400, "body:1:")
        self.expect("half of JSON", raw('{"inputs": ["a", '), 400, "body:1:")
        self.expect("nothing", raw(""), 400)
        self.expect("two values", raw('{"inputs": "a"} {}'), 400)
        self.expect("a number out of range", raw('{"inputs": "a", "dimensions": 1e999}'), 400)
        self.expect("a whole number out of range", raw('{"inputs": "a", "dimensions": 99999999999999999999}'), 422, "dimensions")
        self.expect("10,000 levels", raw("[" * 10000 + "]" * 10000), 400)
        self.expect("10,000 levels of objects", raw('{"inputs":' * 10000 + "1" + "}" * 10000), 400)
        self.expect("not UTF-8", raw(b'{"inputs": "a\xff"}'), 400, "byte 13 is 0xff")
        self.expect("half a UTF-8 sequence", raw(b'{"inputs": "\xe2\x82"}'), 400)
        self.expect("a surrogate in UTF-8", raw(b'{"inputs": "\xed\xa0\x80"}'), 400)
        self.expect("a NUL byte in a text", raw(b'{"inputs": "a\x00b"}'), 400)
        self.expect("a NUL byte after the value", raw(b'{"inputs": "a"}\x00'), 400)
        self.expect("the escape of a NUL", raw('{"inputs": "a\\u0000b"}'), 200)
        self.expect("a lone surrogate's escape", raw('{"inputs": "a \\ud800"}'), 200)
        self.expect("an empty text", raw('{"inputs": ""}'), 400, "Empty")
        self.expect("an empty text in a list", raw('{"inputs": ["a", ""]}'), 400, "inputs[1]")
        self.expect("an empty list", raw('{"inputs": []}'), 400, "Empty")
        self.expect("white space", raw('{"inputs": " \\n\\t"}'), 200)
        self.expect("a word of 1 MB", raw('{"inputs": "' + "x" * 1000000 + '"}'), 200)
        self.expect("1 MB of accents on a letter", raw('{"inputs": "a' + "\u0301" * 500000 + '"}'), 200)
        self.expect("7 MB of words", raw('{"inputs": "' + "a river " * 870000 + '"}'), 200)
        self.expect("2,049 texts", raw(json.dumps({"inputs": ["a"] * 2049})), 422, "--max-client-batch-size")
        self.expect("2,048 texts", raw(json.dumps({"inputs": ["a"] * 2048})), 200)

    def test_wrong_types_of_every_member(self):
        connection, count = http.client.HTTPConnection("127.0.0.1", self.program.port), 0
        for path, body in BODIES.items():
            for new in (None, True, 1, 1.5, "a", []):
                connection.request("POST", path, json.dumps(new), {"Content-Type": "application/json"})
                reply = connection.getresponse()
                self.assertEqual((reply.status, "body: expected an object" in reply.read().decode()), (422, True), (path, new))
            self.assertEqual(self.program.ask(path, body)[0], 200, path)
            for member, wrong in wrong_values(body):
                connection.request("POST", path, json.dumps(wrong), {"Content-Type": "application/json"})
                reply = connection.getresponse()
                text = reply.read().decode()
                name = "".join(f"[{key}]" if isinstance(key, int) else ("." if i else "") + key for i, key in enumerate(member))
                # A list may hold what is wrong, or be one pair.
                self.assertEqual(reply.status, 422, (path, name, wrong, text))
                self.assertIn(f"`{member[0]}" if isinstance(member[-1], int) or name not in text else f"`{name}", text, (path, wrong))
                count += 1
        self.tell(f"{count} bodies with a member of a wrong type", "422, and the member is named")

    def test_http(self):
        self.expect("no HTTP", b"hello\r\n\r\n", 400)
        self.expect("a header of 40 kB", b"GET / HTTP/1.1\r\nA: " + b"x" * 40000 + b"\r\n\r\n", 431)
        self.expect("100 MB announced", raw("{", length=100_000_000), 413, "--payload-limit")
        self.expect("two lengths", b"POST /embed HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}    ", 400)
        self.expect("a length and chunks", b"POST /embed HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400)
        self.expect("a bad chunk", b"POST /embed HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400)
        self.expect("no content type", b"POST /embed HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n{}", 415)
        self.expect("an unknown route", raw("{}", "/embed/../../etc/passwd"), 404)
        self.expect("a method that the route lacks", b"DELETE /embed HTTP/1.1\r\nHost: t\r\n\r\n", 405)

    def test_a_body_of_100_mb_that_is_sent(self):
        client = self.client()
        client.send(raw("", length=100_000_000))
        sent = 0
        try:
            while sent < 100_000_000:
                sent += client.socket.send(b" " * 1_000_000)
        except OSError:
            pass
        status = client.status()
        self.tell("100 MB, sent", f"{status} {client.text[:120]}")
        self.assertEqual(status, 413)

    def test_truncated_bodies(self):
        for how in ("half_close", "close", "reset"):
            client = self.client().send(raw('{"inputs": "a', length=1000))
            if how == "half_close":
                client.socket.shutdown(socket.SHUT_WR)
                self.tell("a truncated body, then the end", client.status() or "the connection ended")
            elif how == "close":
                client.socket.close()
            else:
                client.reset()
            self.assertEqual(self.program.json("/embed", GOOD), self.good)

    def test_slow_senders(self):
        program = self.serve("--header-timeout", 1, "--request-timeout", 2)
        head, body = Client(program.port), Client(program.port).send(raw("", length=1000))
        many = [Client(program.port) for _ in range(50)]
        start, ended, right = time.monotonic(), {}, 0
        while len(ended) < 2 and time.monotonic() - start < 60:
            for name, client, byte in (("head", head, b"G"), ("body", body, b" ")):
                try:
                    if name not in ended:
                        client.send(byte)
                        client.socket.settimeout(0.2)
                        if client.socket.recv(1000) == b"":
                            raise ConnectionError
                except TimeoutError:
                    pass
                except OSError:
                    ended[name] = round(time.monotonic() - start, 1)
            for client in many:
                try:
                    client.send(b"G")
                except OSError:
                    pass
            try:
                right += program.json("/embed", GOOD) == self.good
            except (OSError, RuntimeError):  # this client was too slow itself, or waited too long for its turn
                pass
        self.tell("a byte now and then, from 52 clients", f"the connections ended after {ended} s; {right} good requests beside them")
        self.assertEqual(len(ended), 2)
        self.assertGreater(right, 0)

    def test_nobody_reads_the_log(self):
        program = served.Program(MINBERT, self.model)  # whose stderr nobody reads after the first line
        self.addCleanup(program.stop, signal.SIGKILL)
        for _ in range(1500):
            program.ask("/livez")
        self.assertEqual(program.json("/embed", GOOD), self.good)
        program.process.send_signal(signal.SIGTERM)
        self.assertEqual(program.process.wait(60), 0)
        self.tell("1,500 lines of the log that nobody reads", "answers, and an end at SIGTERM")

    def test_half_closed_and_leaving_clients(self):
        client = self.client().send(raw(json.dumps(GOOD)))
        client.socket.shutdown(socket.SHUT_WR)
        self.assertEqual((client.status(), json.loads(client.text)), (200, self.good))
        self.tell("a client that closed its sending side", "200")
        big = raw(json.dumps({"inputs": ["a quiet river " * 10] * 1000}))
        for i in range(60):
            client = self.client().send(big)
            client.socket.close() if i % 2 else client.reset()
        self.assertEqual(self.program.json("/embed", GOOD), self.good)
        self.wait_until_idle(self.program)
        self.tell("60 clients that left after sending", "nothing waits any more")

    def wait_until_idle(self, program):
        for _ in range(600):
            if "\nte_queue_size 0\n" in program.ask("/metrics")[2]:
                return
            time.sleep(0.05)
        self.fail("requests of clients that left still wait")

    def test_two_thousand_idle_connections(self):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY and hard < 3000:
            self.skipTest("too few descriptors")
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 3000), hard))
        idle = [self.client() for _ in range(2000)]
        for client in idle[::100]:
            self.assertEqual(client.send(raw(json.dumps(GOOD))).status(), 200)
        times = []
        for _ in range(200):
            start = time.perf_counter()
            self.assertEqual(self.program.json("/embed", GOOD), self.good)
            times.append(time.perf_counter() - start)
        self.tell("2,000 idle connections", f"half of 200 requests beside them within {sorted(times)[100] * 1e3:.2f} ms")
        for client in idle:
            client.socket.close()

    def test_pipelined_requests(self):
        client = self.client()
        texts = [f"a river {i % 7}" for i in range(100)]
        client.send(b"".join(raw(json.dumps({"inputs": text})) for text in texts))
        got = []
        reader = client.socket.makefile("rb")
        for _ in texts:
            length = 0
            while (line := reader.readline()) not in (b"\r\n", b""):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            got.append(json.loads(reader.read(length)))
        want = {text: self.program.json("/embed", {"inputs": text}) for text in set(texts)}
        self.assertEqual(got, [want[text] for text in texts])
        self.tell("100 pipelined requests", "100 answers in order")

    def load(self, program, body, stop, seen, failures):
        def ask():
            connection = http.client.HTTPConnection("127.0.0.1", program.port, timeout=60)
            while not stop.is_set():
                try:
                    connection.request("POST", "/embed", json.dumps(body), {"Content-Type": "application/json"})
                    reply = connection.getresponse()
                    seen.append((reply.status, reply.read().decode()))
                except (OSError, http.client.HTTPException) as error:
                    if stop.is_set() or not failures(error):
                        return
                    connection.close()
        workers = [threading.Thread(target=ask) for _ in range(8)]
        for worker in workers:
            worker.start()
        return workers

    def test_sighup_under_load(self):
        copy = self.folder / "reloaded"
        shutil.copytree(self.model / "best", copy)
        program, stop, seen, lost = self.serve(model=copy), threading.Event(), [], []
        workers = self.load(program, GOOD, stop, seen, lambda error: lost.append(error))
        weights = (copy / "model.safetensors").read_bytes()
        self.wait_for(lambda: len(seen) > 50)
        (copy / "model.safetensors").write_bytes(weights[:1000])
        program.process.send_signal(signal.SIGHUP)
        self.wait_for(lambda: "minbert_failed_reloads_total 1\n" in program.ask("/metrics")[2])
        broken = len(seen)
        self.wait_for(lambda: len(seen) > broken + 50)
        (copy / "model.safetensors").write_bytes(weights[:-4000] + weights[-8000:-4000])
        program.process.send_signal(signal.SIGHUP)
        self.wait_for(lambda: "minbert_reloads_total 1\n" in program.ask("/metrics")[2])
        swapped = len(seen)
        self.wait_for(lambda: len(seen) > swapped + 50)
        stop.set()
        for worker in workers:
            worker.join()
        code, _ = program.stop()
        bodies = [text for status, text in seen if status == 200]
        self.assertEqual((code, lost, len(bodies)), (0, [], len(seen)))
        self.assertEqual(len(set(bodies)), 2)
        self.assertEqual(len(set(bodies[:broken])), 1)  # the broken folder changed nothing
        self.assertNotEqual(bodies[0], bodies[-1])
        self.tell("SIGHUP with a broken folder, then with other weights, under load", f"{len(seen)} requests, all 200: old answers, then new ones")

    def wait_for(self, condition):
        for _ in range(6000):
            if condition():
                return
            time.sleep(0.01)
        self.fail("nothing happened in a minute")

    def test_sigterm_under_load(self):
        program, stop, seen, ended = self.serve("--threads", 1), threading.Event(), [], []
        workers = self.load(program, {"inputs": ["a quiet river"] * 200}, stop, seen, ended.append)
        self.wait_for(lambda: len(seen) > 20)
        begin = time.monotonic()
        code, rest = program.stop()
        seconds = time.monotonic() - begin
        stop.set()
        for worker in workers:
            worker.join()
        statuses = {status for status, _ in seen}
        self.tell("SIGTERM under load", f"exit {code} after {seconds:.2f} s, {len(seen)} replies with {sorted(statuses)}")
        self.assertEqual(code, 0, rest)
        self.assertLessEqual(statuses, {200, 503})
        self.assertEqual(len({text for status, text in seen if status == 200}), 1)
        self.assertLess(seconds, 30)

    def test_a_full_queue(self):
        program, stop, seen, ended = self.serve("--threads", 1, "--max-concurrent-requests", 1), threading.Event(), [], []
        workers = self.load(program, {"inputs": ["a quiet river"] * 100}, stop, seen, ended.append)
        self.wait_for(lambda: all(sum(status == wanted for status, _ in seen) > 20 for wanted in (200, 429)))
        stop.set()
        for worker in workers:
            worker.join()
        self.assertEqual((ended, {status for status, _ in seen}, len({text for status, text in seen if status == 200})), ([], {200, 429}, 1))
        refused = next(text for status, text in seen if status == 429)
        self.assertIn("--max-concurrent-requests", refused)
        self.tell("a full queue", f"429 {refused}")
        self.assertEqual(program.json("/embed", GOOD), self.good)
        self.assertEqual(program.stop()[0], 0)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=1, warnings="ignore")
