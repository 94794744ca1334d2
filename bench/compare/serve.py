#!/usr/bin/env python3
"""minbert serve beside other servers of sentence vectors: FastAPI with sentence-transformers or onnxruntime, and infinity_emb, in turns.

Each server runs alone on the machine, with one load generator on the same cores. Closed loop: 1 to 256 connections, each with its next
request when the last is answered. Open loop: requests at random times at half of what the closed loop reached. `in_process` is what
`minbert embed` does with the same texts in a file, before and after the loops. Prints a JSON line for each server, length and number of
connections. `cosine` is the smallest one between a server's vectors and those of `minbert embed`, so that nobody is fast and wrong.

infinity_emb needs older packages than the others; --infinity names its program where it is installed in an environment of its own.
"""

import json
import math
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from importlib.util import find_spec
from pathlib import Path

from common import HERE, environment, export, machine, model_name, parser, revision
from load import closed_loop, open_loop, post

WORDS = "the a film city river music quiet story people light good bad long short new old water green house child they it was with and".split()


def texts_of(tokens, count, seed=1):
    """Texts of common words, each of which is one token: `tokens` counts [CLS] and [SEP]."""
    rng = random.Random(seed)
    return [" ".join(rng.choice(WORDS) for _ in range(tokens - 2)) for _ in range(count)]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid):
    return round(int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024, 1)


class Server:
    def __init__(self, o, name, scratch):
        self.name, self.port = name, free_port()
        self.path, self.body, self.vectors = "/embed", lambda text: {"inputs": text}, lambda reply: reply
        variables = environment(o)
        if name == "minbert":
            command = [o.minbert, "serve", o.model, "--port", self.port, "--threads", o.threads, "--no-access-log"]
            variables = {key: value for key, value in variables.items() if not key.startswith("MALLOC_")}  # as people start it
        elif name == "infinity":
            command = [o.infinity, "v2", "--model-id", o.model, "--port", self.port, "--device", "cpu", "--engine", "torch", "--log-level", "critical"]
            variables |= {"INFINITY_BETTERTRANSFORMER": "false", "DO_NOT_TRACK": "1"}
            self.path, self.body = "/embeddings", lambda text: {"input": text, "model": o.model.name}
            self.vectors = lambda reply: [row["embedding"] for row in reply["data"]]
        else:
            command = [sys.executable, HERE / "serve_peer.py", "--engine", name, "--model", o.model, "--port", self.port, "--threads", o.threads]
            if name == "onnxruntime":
                command += ["--exported", export(o, [name], scratch)[name]]
        self.errors = tempfile.TemporaryFile()
        start = time.perf_counter()
        self.process = subprocess.Popen([str(part) for part in command], env=variables, stdout=subprocess.DEVNULL, stderr=self.errors)
        while True:
            try:
                self.ask("warm")
                break
            except OSError:
                if self.process.poll() is not None or time.perf_counter() - start > 120:
                    self.stop()
                    self.errors.seek(0)
                    raise SystemExit(f"{name} does not answer: {self.errors.read().decode(errors='replace')[-2000:]}") from None
                time.sleep(0.01)
        self.first_answer_s = round(time.perf_counter() - start, 2)

    def ask(self, text):
        """The vector of a text."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{self.path}", json.dumps(self.body(text)).encode(), {"Content-Type": "application/json"})
        return self.vectors(json.loads(urllib.request.urlopen(request, timeout=60).read()))[0]

    def requests(self, texts):
        return [post("127.0.0.1", self.path, json.dumps(self.body(text)).encode()) for text in texts]

    def measure(self, loop, *arguments):
        before, start = cpu_seconds(self.process.pid), time.perf_counter()
        figures = loop("127.0.0.1", self.port, *arguments)
        cores = (cpu_seconds(self.process.pid) - before) / (time.perf_counter() - start)
        return figures | {"server_cores": round(cores, 2), "rss_mb": rss_mb(self.process.pid)}

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def in_process(o, texts):
    """Texts a second of `minbert embed`, without the time to load the model."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lines.txt"
        path.write_text("\n".join(texts) + "\n")
        done = subprocess.run([o.minbert, "embed", o.model, "-i", path, "-o", Path(folder) / "v.npy", "--threads", str(o.threads), "-v"],
                              env=environment(o), check=True, capture_output=True, text=True)  # fmt: skip
    rows, seconds = re.search(r"(\d+) rows: ([\d.]+) s", done.stderr).groups()
    return round(int(rows) / float(seconds), 1)


def smallest_cosine(o, server, texts):
    done = subprocess.run([o.minbert, "embed", o.model, "-o", "-"], input="\n".join(texts), check=True, capture_output=True, text=True)
    cosines = []
    for text, line in zip(texts, done.stdout.splitlines()):
        u, v = server.ask(text), json.loads(line)
        cosines.append(sum(a * b for a, b in zip(u, v)) / math.sqrt(sum(a * a for a in u) * sum(b * b for b in v)))
    return round(min(cosines), 6)


def main():
    flags = parser(__doc__, 1)
    flags.add_argument("--minbert", type=Path, default=HERE.parents[1] / "build/release/minbert", help="default: %(default)s")
    flags.add_argument("--servers", default="minbert,sentence-transformers,onnxruntime,infinity", help="default: %(default)s")
    flags.add_argument("--infinity", default=Path(sys.executable).parent / "infinity_emb", help="program of infinity_emb (default %(default)s)")
    flags.add_argument("--tokens", default="16,128", help="lengths of texts (default %(default)s)")
    flags.add_argument("--connections", default="1,16,64,256", help="default: %(default)s")
    flags.add_argument("--seconds", type=float, default=4, help="of each figure (default %(default)s)")
    o = flags.parse_args()
    o.model = o.model.resolve()
    packages = {"minbert": [], "sentence-transformers": ["fastapi", "uvicorn", "sentence_transformers"],
                "onnxruntime": ["fastapi", "uvicorn", "onnxruntime", "onnx", "torch"], "infinity": []}  # fmt: skip
    for _ in range(o.rounds):
        for name in o.servers.split(","):
            if missing := [package for package in packages[name] if find_spec(package) is None]:
                print(f"{name} skipped: {', '.join(missing)} not installed", file=sys.stderr)
                continue
            if name == "infinity" and shutil.which(o.infinity) is None:
                print(f"infinity skipped: no program {o.infinity}", file=sys.stderr)
                continue
            scratch = tempfile.TemporaryDirectory()
            server = Server(o, name, scratch.name)
            for tokens in map(int, o.tokens.split(",")):
                texts = texts_of(tokens, 2000)
                what = {"server": name, "tokens": tokens, "model": model_name(o), "first_answer_s": server.first_answer_s}
                what["cosine"] = smallest_cosine(o, server, texts[:20])
                many = texts[:1000] if tokens > 64 else texts * 3
                if name == "minbert":
                    what["in_process_per_s"] = in_process(o, many)
                best = 0
                for connections in map(int, o.connections.split(",")):
                    figures = server.measure(closed_loop, server.requests(texts), connections, o.seconds)
                    best = max(best, figures["per_s"])
                    print(json.dumps(what | {"loop": "closed", "connections": connections} | figures), flush=True)
                figures = server.measure(open_loop, server.requests(texts), 512, o.seconds, best / 2)
                print(json.dumps(what | {"loop": "open"} | figures), flush=True)
                if name == "minbert":
                    print(json.dumps({"in_process_per_s": in_process(o, many), "tokens": tokens, "best_per_s": best}), flush=True)
            server.stop()
    print(json.dumps({"machine": machine(), "revision": revision(), "threads": o.threads}))


if __name__ == "__main__":
    main()
