#!/usr/bin/env python3
"""Trains with mpirun: losses and bytes of several ranks, signals, kills and ranks that hang.

Usage: mpi_test.py PROGRAM ON|OFF     (OFF: the program was built without MPI)
"""
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

CONFIG = """
[run]
name = "tiny"
[model]
init = "scratch"
max_length = 48
[model.config]
hidden_size = 32
num_hidden_layers = 2
num_attention_heads = 2
intermediate_size = 64
max_position_embeddings = 64
[model.vocabulary]
size = 300
[[task]]
name = "sentiment"
type = "classify"
labels = 5
[task.data]
train = "samples/sentiment-train.csv"
dev = "samples/sentiment-dev.csv"
text = "sentence"
[[task]]
name = "similarity"
type = "pair_regress"
[task.data]
train = "samples/similarity-train.csv"
dev = "samples/similarity-dev.csv"
text = "sentence1"
text_pair = "sentence2"
label_range = [0, 5]
[[stage]]
epochs = 100
max_steps = 50
batch = 7
lr = 1e-4
clip = 1.0
sampler = "shuffled"
checkpoint_every = 5
"""


class Launch:
    """mpirun with `ranks` processes that train into `run`."""

    def __init__(self, program, ranks, run, *flags):
        command = ["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", str(ranks)] if ranks > 0 else []
        command += [program, "train", "tiny.toml", "-o", run, "--threads", "1", *flags]
        self.ranks, self.run = ranks, pathlib.Path(run)
        environment = dict(os.environ, OMPI_MCA_rmaps_base_oversubscribe="1", OMPI_MCA_btl_vader_single_copy_mechanism="none")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)

    def pids(self):
        """Process ids of the ranks, lowest first."""
        if self.ranks == 0:
            return [self.process.pid]
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True).stdout.split()
        return sorted(int(pid) for pid in children)

    def wait_for_steps(self, steps):
        while self.process.poll() is None:
            metrics = self.run / "metrics.jsonl"
            if metrics.exists() and metrics.read_text().count('"event":"step"') >= steps:
                return True
            time.sleep(0.01)
        return False

    def end(self, seconds=120):
        out, err = self.process.communicate(timeout=seconds)
        return self.process.returncode, out, err


def steps_of(run):
    lines = [json.loads(line) for line in (pathlib.Path(run) / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["event"] == "step"]


def scores_of(run):
    return json.loads((pathlib.Path(run) / "eval/dev/metrics.json").read_text())["scores"]


def digest(run):
    sha = hashlib.sha256()
    for name in ["model.safetensors", "heads.safetensors"]:
        sha.update((pathlib.Path(run) / "best" / name).read_bytes())
    return sha.hexdigest()


def check(condition, what):
    if not condition:
        sys.exit(f"failed: {what}")


def train(program, ranks, run, *flags):
    code, out, err = Launch(program, ranks, run, *flags).end()
    check(code == 0, f"{ranks} ranks, {run}: exit code {code}\n{err}")
    return out


def test_one_rank_is_the_reference(program):
    train(program, 0, "ranks-1")
    expected = steps_of("ranks-1")
    for ranks in [2, 3, 4]:
        out = train(program, ranks, f"ranks-{ranks}")
        check(out.count("sentiment") == 1, f"{ranks} ranks: the table of scores is not printed once\n{out}")
        worst = max(abs(a["loss"] / b["loss"] - 1) for a, b in zip(steps_of(f"ranks-{ranks}"), expected, strict=True))
        print(f"{ranks} ranks: losses of {len(expected)} steps differ by at most {worst:.1e}")
        check(worst <= 1e-6, f"{ranks} ranks: losses differ by {worst}")
        check([s["tokens"] for s in steps_of(f"ranks-{ranks}")] == [s["tokens"] for s in expected], "tokens differ")
        check(all(abs(v - scores_of("ranks-1")[k]) < 1e-6 for k, v in scores_of(f"ranks-{ranks}").items()), "dev scores differ")
    train(program, 3, "ranks-3-again")
    check(digest("ranks-3") == digest("ranks-3-again"), "3 ranks do not repeat themselves")
    train(program, 2, "ranks-2-bf16", "--wire-dtype", "bf16")
    worst = max(abs(a["loss"] / b["loss"] - 1) for a, b in zip(steps_of("ranks-2-bf16"), expected, strict=True))
    print(f"2 ranks, bf16 on the wire: at most {worst:.1e}")
    check(worst <= 1e-2, f"bf16 on the wire: losses differ by {worst}")


def test_signals(program):
    for number, sent in [(0, signal.SIGTERM), (2, signal.SIGUSR1)]:
        run = f"signal-{number}"
        launch = Launch(program, 3, run)
        if launch.wait_for_steps(8):
            os.kill(launch.pids()[number], sent)
        code, _, err = launch.end()
        check(code in (75, 0), f"{sent.name} to rank {number}: exit code {code}\n{err}")
        check(code == 0 or (pathlib.Path(run) / "checkpoints/last/DONE").exists(), "no checkpoint")
        train(program, 3, run, "--resume")
        check(digest(run) == digest("ranks-3"), f"{sent.name} to rank {number}: the resumed run has other bytes")


def test_kills(program):
    dice = random.Random(1)
    for round_ in range(4):
        run = f"killed-{round_}"
        launch = Launch(program, 3, run, "--comm-timeout", "20")
        if launch.wait_for_steps(dice.randrange(1, 40)):
            victims = launch.pids()
            os.kill(victims[dice.randrange(len(victims))], signal.SIGKILL)
        code, _, err = launch.end(60)
        check(code != 0 or round_ > 0, f"a killed rank: exit code {code}\n{err}")
        train(program, 3, run, "--resume")
        check(digest(run) == digest("ranks-3"), "the run resumed with as many ranks has other bytes")
        run = f"killed-{round_}-shrinks"
        launch = Launch(program, 3, run)
        if launch.wait_for_steps(12):
            os.kill(launch.pids()[round_ % 3], signal.SIGKILL)
        launch.end(60)
        train(program, 2, run, "--resume")
        worst = max(abs(a["loss"] / b["loss"] - 1) for a, b in zip(steps_of(run), steps_of("ranks-1"), strict=True))
        check(worst <= 1e-6, f"resumed with 2 of 3 ranks: losses differ by {worst}")


def test_a_rank_that_hangs_is_named(program):
    launch = Launch(program, 3, "hangs", "--comm-timeout", "3", "--set", "stage.0.max_steps=5000")
    check(launch.wait_for_steps(3), "no steps")
    sleeper = launch.pids()[1]
    os.kill(sleeper, signal.SIGSTOP)
    code, _, err = launch.end(60)
    lines = [line for line in err.splitlines() if line.startswith("minbert: error")]
    check(code == 5 and len(lines) == 1 and "rank 1: did not come" in lines[0], f"exit code {code}\n{err}")


def test_mistakes_are_told_once(program):
    code, _, err = Launch(program, 3, "mistake", "--set", "task.sentiment.data.train=nowhere.csv").end(60)
    lines = [line for line in err.splitlines() if line.startswith("minbert: error")]
    check(code == 3 and len(lines) == 1, f"a missing file: exit code {code}\n{err}")
    code, _, err = Launch(program, 3, "ranks-3").end(60)  # which only rank 0 sees
    lines = [line for line in err.splitlines() if line.startswith("minbert: error")]
    check(code == 2 and len(lines) == 1 and "holds a run already" in lines[0], f"a run that is there: exit code {code}\n{err}")


def main():
    program, has_mpi = os.path.abspath(sys.argv[1]), sys.argv[2] == "ON"
    if shutil.which("mpirun") is None or not has_mpi:
        print("skipped: no mpirun" if has_mpi else "skipped: this build knows no MPI (cmake --preset mpi)")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        pathlib.Path("tiny.toml").write_text(CONFIG)
        subprocess.run([program, "sample-data", "-o", "samples", "--train-rows", "60", "--dev-rows", "30", "--test-rows", "4", "-q"],
                       check=True, stdout=subprocess.DEVNULL)
        for test in [test_one_rank_is_the_reference, test_signals, test_kills, test_a_rank_that_hangs_is_named, test_mistakes_are_told_once]:
            begin = time.monotonic()
            test(program)
            print(f"{test.__name__}: {time.monotonic() - begin:.1f} s", flush=True)


if __name__ == "__main__":
    main()
