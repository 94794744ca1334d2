#!/usr/bin/env python3
"""Answers do not depend on what the server computes beside them: random routes, tasks, lengths and batch sizes from 32 connections.

Usage: mixing_test.py MINBERT [--model MODEL] [--requests N] [--dtype f32,bf16,int8] [--threads N]. Every answer is compared, to the last
bit, with what `minbert predict` and `minbert embed` say of that text, and with what the server says of it while nothing else is asked.
Without --model, a small model is trained.
"""

import argparse
import base64
import http.client
import json
import random
import struct
import subprocess
import sys
import tempfile
import threading
import time

import served

WORDS = "a quiet river runs through the old city and people light good bad long stories about new music it was fine . überall 東京 don't".split()
CONNECTIONS = 32


def texts_of(count, longest, seed):
    rng = random.Random(seed)
    return [" ".join(rng.choice(WORDS) for _ in range(rng.choice([rng.randint(1, 8), rng.randint(1, longest)]))) for _ in range(count)]


class Connection:
    """One kept connection."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def ask(self, path, body):
        self.connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        reply = self.connection.getresponse()
        text = reply.read().decode()
        if reply.status != 200:
            raise RuntimeError(f"{path} {json.dumps(body)[:300]}: {reply.status} {text[:300]}")
        return json.loads(text)


def floats_of(text):
    data = base64.b64decode(text)
    return [number for (number,) in struct.iter_unpack("<f", data)]


def as_f32(numbers):
    return [struct.unpack("<f", struct.pack("<f", number))[0] for number in numbers]


class Kind:
    """A kind of request: `body` makes it of elements, and `split` gives the answer of each."""

    def __init__(self, path, elements, body, split):
        self.path, self.elements, self.body, self.split = path, elements, body, split
        self.alone = [None] * len(elements)

    def ask(self, connection, which):
        return self.split(connection.ask(self.path, self.body([self.elements[i] for i in which])), len(which))


def kinds_of(tasks, singles, pairs):
    def rows(reply, count):
        assert len(reply) == count
        return reply

    kinds = {}
    for task in tasks:
        elements = pairs if task["type"].startswith("pair") else singles
        kinds["predict " + task["name"]] = Kind("/predict", elements, lambda part, name=task["name"]: {"inputs": part, "task": name}, rows)
    some = [{"text": text} for text in singles] + [{"text": a, "text_pair": b} for a, b in pairs]
    readers = {task["type"].startswith("pair") for task in tasks}
    some = [element for element in some if ("text_pair" in element) in readers]
    if some:
        kinds["analyze"] = Kind("/v1/analyze", some, lambda part: {"inputs": part}, lambda reply, count: [result["tasks"] for result in rows(reply["results"], count)])
    kinds["embed"] = Kind("/embed", singles, lambda part: {"inputs": part}, rows)
    kinds["embed raw"] = Kind("/embed", singles, lambda part: {"inputs": part, "normalize": False, "dimensions": 7}, rows)
    kinds["embed_all"] = Kind("/embed_all", singles[:100], lambda part: {"inputs": part}, rows)
    kinds["openai"] = Kind("/v1/embeddings", singles, lambda part: {"input": part}, lambda reply, count: [row["embedding"] for row in rows(reply["data"], count)])
    kinds["openai base64"] = Kind("/v1/embeddings", singles, lambda part: {"input": part, "encoding_format": "base64"},
                                  lambda reply, count: [floats_of(row["embedding"]) for row in rows(reply["data"], count)])  # fmt: skip
    kinds["similarity"] = Kind("/similarity", singles, lambda part: {"inputs": {"source_sentence": singles[0], "sentences": part}}, rows)
    kinds["rerank"] = Kind("/rerank", singles, lambda part: {"query": singles[1], "texts": part},
                           lambda reply, count: [row["score"] for row in sorted(rows(reply, count), key=lambda row: row["index"])])  # fmt: skip
    return kinds


def run_lines(minbert, verb, model, flags, lines):
    done = subprocess.run([minbert, verb, model, *flags], input="\n".join(lines), check=True, capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def check_alone(minbert, model, dtype, tasks, kinds, singles, pairs):
    """The answers of the verbs are those of the idle server."""
    flags = ["--dtype", dtype]
    for task in tasks:
        kind = kinds["predict " + task["name"]]
        lines = ["\t".join(pair) for pair in pairs] if task["type"].startswith("pair") else singles
        for i, row in enumerate(run_lines(minbert, "predict", model, ["--task", task["name"], *flags], lines)):
            if "regress" in task["type"]:
                assert kind.alone[i][0]["score"] == row["pred"], (task, i)
            else:
                scores = {answer["label"]: answer["score"] for answer in kind.alone[i]}
                assert [scores[name] for name in task["labels"]] == row["probs"], (task, i)
    vectors = run_lines(minbert, "embed", model, ["-o", "-", "--normalize", *flags], singles)
    for i, vector in enumerate(vectors):
        assert kinds["embed"].alone[i] == vector, i
        assert kinds["openai"].alone[i] == vector, i
        assert kinds["openai base64"].alone[i] == as_f32(vector), i
    for i in range(0, len(singles), max(1, len(singles) // 4)):  # a file of one line
        assert run_lines(minbert, "embed", model, ["-o", "-", "--normalize", *flags], singles[i:i + 1]) == vectors[i:i + 1], i


def mix(port, kinds, requests, seed):
    """Sends random requests from all connections. Returns a line for each answer that differs from the one alone."""
    wrong, names, counter, lock = [], list(kinds), iter(range(requests)), threading.Lock()

    def work():
        try:
            connection = Connection(port)
            while True:
                with lock:
                    number = next(counter, None)
                if number is None or len(wrong) > 20:
                    return
                rng = random.Random(f"{seed} {number}")
                name = rng.choice(names)
                kind = kinds[name]
                which = [rng.randrange(len(kind.elements)) for _ in range(rng.choice([1, 1, 2, 3, rng.randint(1, 8), rng.randint(1, 48)]))]
                for i, answer in zip(which, kind.ask(connection, which)):
                    if answer != kind.alone[i]:
                        wrong.append(f"request {number}, {name}, element {i} in a batch of {len(which)}")
        except Exception as error:
            wrong.append(repr(error))

    workers = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return wrong


def main():
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("minbert")
    flags.add_argument("--model", help="a model folder or run; default: a small one is trained")
    flags.add_argument("--requests", type=int, default=10000, help="for each dtype (default %(default)s)")
    flags.add_argument("--dtype", default="f32,bf16,int8", help="default: %(default)s")
    flags.add_argument("--threads", type=int, default=2, help="default: %(default)s")
    flags.add_argument("--longest", type=int, default=60, help="words of the longest text (default %(default)s)")
    flags.add_argument("--seed", type=int, default=1)
    o = flags.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as scratch:
        model = o.model or str(served.train(o.minbert, scratch))
        for dtype in o.dtype.split(","):
            program = served.Program(o.minbert, model, "--dtype", dtype, "--threads", o.threads, "--no-access-log")
            tasks = program.json("/info")["tasks"]
            singles, pairs = texts_of(300, o.longest, o.seed), list(map(list, zip(texts_of(120, o.longest, o.seed + 1), texts_of(120, o.longest // 2, o.seed + 2))))
            kinds = kinds_of(tasks, singles, pairs)
            connection = Connection(program.port)
            for kind in kinds.values():
                for i in range(len(kind.elements)):
                    (kind.alone[i],) = kind.ask(connection, [i])
            start = time.perf_counter()
            wrong = mix(program.port, kinds, o.requests, o.seed)
            print(f"{dtype}: {o.requests} requests in {time.perf_counter() - start:.1f} s, {len(wrong)} wrong", flush=True)
            for line in wrong:
                print("  " + line)
            failed |= bool(wrong)
            try:
                check_alone(o.minbert, model, dtype, tasks, kinds, singles, pairs)
            except AssertionError as error:
                print(f"{dtype}: a verb says something else: {error!r}")
                failed = True
            code, rest = program.stop()
            if code != 0:
                print(f"exit code {code}: {rest[-1000:]}")
                failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
