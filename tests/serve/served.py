"""What the Python tests of serve share: a small trained model, and the program serving it."""

import json
import os
import pathlib
import re
import signal
import subprocess
import urllib.error
import urllib.request

CONFIG = """
[model]
init = "scratch"
max_length = 48
config = { hidden_size = 32, num_hidden_layers = 2, num_attention_heads = 2, intermediate_size = 64, max_position_embeddings = 64 }
vocabulary = { size = 300 }
[data]
root = "samples"
[[task]]
name = "my"
type = "classify"
labels = 5
data = { train = "sentiment-train.csv", dev = "sentiment-dev.csv", text = "sentence" }
[[task]]
name = "para"
type = "pair_classify"
labels = 2
data = { train = "paraphrase-train.csv", dev = "paraphrase-dev.csv", text = "sentence1", text_pair = "sentence2" }
[[task]]
name = "near"
type = "pair_regress"
encode = "joint"
data = { train = "similarity-train.csv", dev = "similarity-dev.csv", text = "sentence1", text_pair = "sentence2", label_range = [0, 5] }
[[stage]]
epochs = 1
max_steps = 30
sampler = "shuffled"
"""


def train(minbert, folder):
    """A run of three tasks: my reads single texts, para pairs as two sequences, near pairs as one."""
    folder = pathlib.Path(folder)
    (folder / "run.toml").write_text(CONFIG)
    for arguments in (["sample-data", "-o", folder / "samples"], ["train", folder / "run.toml", "-o", folder / "run", "--threads", "1"]):
        subprocess.run([minbert, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return folder / "run"


class Program:
    """minbert serve on a free port."""

    def __init__(self, minbert, model, *flags, env=None):
        self.process = subprocess.Popen([minbert, "serve", str(model), "--port", "0", *map(str, flags)], env=env, text=True, stderr=subprocess.PIPE)
        self.said = []
        for line in self.process.stderr:
            self.said.append(line)
            if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
                break
        else:
            raise RuntimeError("".join(self.said))
        self.url = f"http://127.0.0.1:{self.port}"
        os.environ["no_proxy"] = "127.0.0.1"  # of urllib here and of curl in children

    def ask(self, path, body=None, headers=None):
        """(status, headers, the body as text)"""
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"} | (headers or {}))
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return reply.status, dict(reply.headers), reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read().decode()

    def json(self, path, body=None):
        status, _, text = self.ask(path, body)
        if status != 200:
            raise RuntimeError(f"{status}: {text}")
        return json.loads(text)

    def stop(self, how=signal.SIGTERM):
        """The exit code, and what the program wrote to stderr after its start."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        rest = self.process.stderr.read()
        return self.process.wait(60), rest
