#!/usr/bin/env python3
"""minbert serve as a program: the README's example, answers equal to those of predict and embed, settings, signals, exit codes.

Usage: program_test.py MINBERT SOURCE_DIR.
"""

import concurrent.futures
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

import served

MINBERT, SOURCE = sys.argv[1], pathlib.Path(sys.argv[2])
WORDS = "a quiet river runs through the old city and people light good bad long stories about new music it was fine .".split()


def texts(count, seed):
    rng = random.Random(seed)
    return [" ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 30))) for _ in range(count)]


class ProgramTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.scratch.name)
        cls.model = served.train(MINBERT, cls.folder)

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def setUp(self):
        self.programs = []

    def tearDown(self):
        for program in self.programs:
            program.stop(signal.SIGKILL)

    def serve(self, *flags, **options):
        self.programs.append(served.Program(MINBERT, self.model, *flags, **options))
        return self.programs[-1]

    def run_minbert(self, *arguments, text=""):
        return subprocess.run([MINBERT, *map(str, arguments)], input=text, check=True, capture_output=True, text=True).stdout

    def test_readme_example(self):
        if shutil.which("curl") is None:
            self.skipTest("no curl")
        section = (SOURCE / "README.md").read_text().split("\n## Serving\n")[1]
        lines = re.search(r"```sh\n(.*?)```", section, re.DOTALL)[1].replace("\\\n", "").splitlines()
        self.assertTrue(lines[0].startswith("minbert serve runs/mine"))
        curls = [line for line in lines if line.startswith("curl ")]
        self.assertEqual(len(curls), 5)
        program = self.serve()
        for line in curls:
            self.assertIn("127.0.0.1:8080", line)
            done = subprocess.run(["sh", "-c", line.replace("127.0.0.1:8080", f"127.0.0.1:{program.port}") + " --fail-with-body"],
                                  capture_output=True, text=True)  # fmt: skip
            self.assertEqual(done.returncode, 0, line + done.stdout)
            json.loads(done.stdout)

    def test_answers_equal_those_of_the_verbs_whatever_else_is_asked(self):
        singles, firsts, seconds = texts(60, 1), texts(30, 2), texts(30, 3)
        predicted = [json.loads(line) for line in self.run_minbert("predict", self.model, "--task", "my", text="\n".join(singles)).splitlines()]
        pairs = {task: [json.loads(line) for line in self.run_minbert(
            "predict", self.model, "--task", task, text="\n".join(map("\t".join, zip(firsts, seconds)))).splitlines()] for task in ("para", "near")}  # fmt: skip
        vectors = self.run_minbert("embed", self.model, "-o", "-", "--normalize", text="\n".join(singles)).splitlines()
        program = self.serve("--threads", "2")

        def scores(answer):
            return {row["label"]: row["score"] for row in answer}

        def check(i):
            kind, rng = i % 5, random.Random(i)
            which = [rng.randrange(len(singles)) for _ in range(rng.randint(1, 6))]
            if kind == 0:
                for k, answer in zip(which, program.json("/predict", {"inputs": [singles[k] for k in which], "task": "my"})):
                    self.assertEqual(scores(answer), {str(c): p for c, p in enumerate(predicted[k]["probs"])})
            elif kind == 1:
                status, _, text = program.ask("/embed", {"inputs": [singles[k] for k in which]})
                self.assertEqual(text, "[" + ",".join(vectors[k] for k in which) + "]")
            elif kind == 2:
                which = [k % len(firsts) for k in which]
                answers = program.json("/predict", {"inputs": [[firsts[k], seconds[k]] for k in which], "task": "para"})
                for k, answer in zip(which, answers):
                    self.assertEqual(scores(answer), {str(c): p for c, p in enumerate(pairs["para"][k]["probs"])})
            elif kind == 3:
                k = which[0] % len(firsts)
                self.assertEqual(program.json("/predict", {"inputs": [firsts[k], seconds[k]], "task": "near"})[0]["score"], pairs["near"][k]["pred"])
            else:
                k = which[0] % len(firsts)
                answer = program.json("/v1/analyze", {"inputs": [{"text": singles[which[0]]}, {"text": firsts[k], "text_pair": seconds[k]}]})
                single, pair = (result["tasks"] for result in answer["results"])
                self.assertEqual(list(single["my"]["probs"].values()), predicted[which[0]]["probs"])
                self.assertEqual(list(pair["para"]["probs"].values()), pairs["para"][k]["probs"])
                self.assertEqual(pair["near"]["value"], pairs["near"][k]["pred"])

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            list(pool.map(check, range(300)))
        self.assertEqual(program.stop()[0], 0)

    def test_settings_come_from_flags_and_the_environment(self):
        env = os.environ | {"MINBERT_SERVE_MAX_CLIENT_BATCH_SIZE": "2", "MINBERT_SERVE_AUTO_TRUNCATE": "false", "MINBERT_SERVE_SERVED_MODEL_NAME": "7",
                            "MINBERT_SERVE_PORT": "1", "MINBERT_SERVE_DTYPE": "bf16", "MINBERT_API_KEY": "k"}  # fmt: skip
        program = self.serve("--max-batch-tokens", "100", env=env)
        self.assertEqual(program.ask("/info")[0], 401)
        info = json.loads(program.ask("/info", headers={"Authorization": "Bearer k"})[2])
        self.assertEqual([info[key] for key in ("model_id", "max_client_batch_size", "auto_truncate", "max_batch_tokens")], ["7", 2, False, 100])
        self.assertIn(info["model_dtype"], ("bfloat16", "float32"))  # the latter on processors without bf16
        for env, flags, words in (({"MINBERT_SERVE_PORT": "x"}, [], ["MINBERT_SERVE_PORT", "whole number"]), ({"MINBERT_SERVE_DTYPE": "f16"}, [], ["f16"]),
                                  ({"MINBERT_SERVE_THREADS": "none"}, [], ["none"]), ({}, ["--port", "99999"], ["--port"]),
                                  ({}, ["--max-batch-tokens", "0"], ["--max-batch-tokens"]), ({}, ["--prot", "1"], ["--port"])):  # fmt: skip
            done = subprocess.run([MINBERT, "serve", self.model, *flags], env=os.environ | env, capture_output=True, text=True)
            self.assertEqual(done.returncode, 2, done.stderr)
            for word in words:
                self.assertIn(word, done.stderr)

    def test_exit_codes(self):
        program = self.serve()
        done = subprocess.run([MINBERT, "serve", self.model, "--port", str(program.port)], capture_output=True, text=True)
        self.assertEqual(done.returncode, 5, done.stderr)
        self.assertIn("hint: ", done.stderr)
        done = subprocess.run([MINBERT, "serve", self.folder / "none", "--port", "0"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertEqual(program.stop(signal.SIGINT)[0], 0)

    def test_sigterm_answers_what_runs(self):
        program = self.serve("--threads", "1")
        body = {"inputs": ["a quiet river runs through the old city"] * 2000}
        answers = []
        asking = threading.Thread(target=lambda: answers.append(program.ask("/embed", body)))
        asking.start()
        while program.ask("/metrics")[2].find("te_queue_size 1\n") < 0 and asking.is_alive():
            pass
        code, log = program.stop()
        asking.join()
        self.assertEqual((code, answers[0][0]), (0, 200), log)

    def test_a_signal_ends_it_while_the_model_is_read(self):
        slow = self.folder / "slow"
        shutil.copytree(pathlib.Path(self.model) / "best", slow)
        (slow / "tokenizer.json").unlink()
        os.mkfifo(slow / "tokenizer.json")  # that nobody writes: a disk that never answers
        for how, code in ((signal.SIGTERM, 0), (signal.SIGINT, 130)):
            process = subprocess.Popen([MINBERT, "serve", slow, "--port", "0", "-q"], stderr=subprocess.DEVNULL)
            self.addCleanup(process.kill)
            held = False
            while not held:  # until the program waits for signals itself
                blocked = re.search(r"^SigBlk:\t(\w+)", pathlib.Path(f"/proc/{process.pid}/status").read_text(), re.MULTILINE)[1]
                held = int(blocked, 16) >> (signal.SIGTERM - 1) & 1
            process.send_signal(how)
            self.assertEqual(process.wait(60), code)

    def test_sighup_swaps_the_model_and_keeps_it_if_the_new_one_is_broken(self):
        copy = self.folder / "copy"
        shutil.copytree(self.model / "best", copy)
        self.programs.append(served.Program(MINBERT, copy))
        program, body = self.programs[-1], {"inputs": "a quiet river"}
        before = program.ask("/embed", body)[2]
        weights = (copy / "model.safetensors").read_bytes()
        (copy / "model.safetensors").write_bytes(weights[:1000])
        program.process.send_signal(signal.SIGHUP)
        self.wait_for_line(program, "the old model stays in service")
        self.assertEqual(program.ask("/embed", body)[2], before)
        (copy / "model.safetensors").write_bytes(weights[:-4000] + weights[-8000:-4000])
        program.process.send_signal(signal.SIGHUP)
        self.wait_for_line(program, "read the model again")
        self.assertNotEqual(program.ask("/embed", body)[2], before)

    def wait_for_line(self, program, words):
        for line in program.process.stderr:
            if words in line:
                return
        self.fail(f"no line with {words}")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=1)
