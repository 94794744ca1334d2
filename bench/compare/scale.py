#!/usr/bin/env python3
"""Times training on one rank and on two in network namespaces with a shaped link, beside an alpha-beta model, and predicts more nodes.

    sudo python3 bench/compare/scale.py --program build/mpi/minbert [--gbit 1 10] [--models minilm base] [--wire f32 bf16] > scale.jsonl

Each rank has one core of its own. Links have 0.1 ms of delay each way where the kernel has netem. alpha (a message's latency), beta (bytes a
second, in both directions at once) and gamma (seconds that a core is busy with a byte) are measured with mpi4py over the same link. The
model (docs/scale.md): a step on two ranks takes the time C of one rank with half the batch, plus gamma for what is summed up beside the
backward pass, plus what the sums take beyond that pass (2/3 of C) but at least the last bucket, plus what spreading the weights takes.
Lines go to stdout, tables to stderr. Takes about ten minutes for all; needs root, Open MPI, mpi4py, and a machine that does nothing else.
"""
import argparse
import json
import os
import pathlib
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

import common

SIZES = {  # hidden, layers, heads, intermediate
    "minilm": (384, 6, 12, 1536),
    "base": (768, 12, 12, 3072),
}
ADDRESSES = ["10.77.0.1", "10.77.0.2"]
NAMES = ["minbert-a", "minbert-b"]
BUCKET_BYTES = 25 << 20


def sh(command, **options):
    return subprocess.run(command, shell=True, check=True, capture_output=True, text=True, **options).stdout


def make_link():
    remove_link()
    for name in NAMES:
        sh(f"ip netns add {name} && ip -n {name} link set lo up")
    sh(f"ip link add {NAMES[0]} netns {NAMES[0]} type veth peer name {NAMES[1]} netns {NAMES[1]}")
    for name, address in zip(NAMES, ADDRESSES):
        sh(f"ip -n {name} address add {address}/24 dev {name} && ip -n {name} link set {name} up")


def remove_link():
    for name in NAMES:
        subprocess.run(f"ip netns delete {name}", shell=True, capture_output=True)


def shape_link(gbit):
    for name in NAMES:
        subprocess.run(f"tc -n {name} qdisc delete dev {name} root", shell=True, capture_output=True)
        netem = subprocess.run(f"tc -n {name} qdisc add dev {name} root netem delay 0.1ms rate {gbit}gbit limit 100000", shell=True, capture_output=True)
        if netem.returncode != 0:  # a kernel without netem has no delay either; alpha is measured in any case
            sh(f"tc -n {name} qdisc add dev {name} root tbf rate {gbit}gbit burst {max(256, int(gbit * 400))}kb latency 50ms")


def launch(folder, command):
    """The command that runs `command` as two ranks, each in a namespace of its own on a core of its own."""
    agent = folder / "agent.sh"  # starts Open MPI's daemon in the other namespace, as ssh would on another machine
    agent.write_text(f'#!/bin/bash\nshift\nexec ip netns exec {NAMES[1]} unshare -u bash -c "hostname {NAMES[1]}; export TMPDIR={folder}/b; $*"\n')
    agent.chmod(0o755)
    for part in ["a", "b"]:
        (folder / part).mkdir(exist_ok=True)
    network = f"{ADDRESSES[0].rsplit('.', 1)[0]}.0/24"
    return ["ip", "netns", "exec", NAMES[0], "unshare", "-u", "bash", "-c", f'hostname {NAMES[0]}; export TMPDIR={folder}/a; exec "$@"', "-",
            "mpirun", "--allow-run-as-root", "--host", ",".join(f"{a}:1" for a in ADDRESSES), "--bind-to", "none",
            "--mca", "plm_rsh_agent", str(agent), "--mca", "btl", "tcp,self", "--mca", "btl_tcp_if_include", network,
            "--mca", "oob_tcp_if_include", network, "-n", "2",
            "bash", "-c", 'exec taskset -c $OMPI_COMM_WORLD_RANK "$@"', "-", *command]  # fmt: skip


def talk(size):
    """A rank of measure_link: short messages there and back, then `size` bytes in both directions at once, ten times."""
    os.environ.setdefault("OMPI_MCA_btl_tcp_flags", "9")  # as minbert does
    import numpy
    from mpi4py import MPI

    world = MPI.COMM_WORLD
    sent, got, byte, trips = numpy.zeros(size, numpy.uint8), numpy.zeros(size, numpy.uint8), numpy.zeros(1, numpy.uint8), []
    for _ in range(200):
        begin = time.perf_counter()
        for rank in (0, 1):
            (world.Send if world.rank == rank else world.Recv)(byte, 1 - world.rank)
        trips.append(time.perf_counter() - begin)
    begin, busy = time.perf_counter(), common.busy_of(f"cpu{world.rank}")
    for _ in range(10):
        requests = [world.Irecv(got, 1 - world.rank), world.Isend(sent, 1 - world.rank)]
        while not MPI.Request.Testall(requests):
            time.sleep(50e-6)
    if world.rank == 0:
        seconds, busy = time.perf_counter() - begin, common.busy_of("cpu0") - busy
        print(json.dumps({"alpha_s": statistics.median(trips) / 2, "beta_bytes_s": 10 * size / seconds, "busy_s_byte": busy / (10 * size)}))


def measure_link(folder):
    """Seconds that a message takes, bytes a second in each direction while both are in use, and seconds that a core is busy with a byte sent
    and one received; all through Open MPI."""
    return json.loads(sh(shlex.join(launch(folder, [sys.executable, str(pathlib.Path(__file__).resolve()), "--talk", str(BUCKET_BYTES // 2)]))))


def write_config(folder, model, batch, steps):
    hidden, layers, heads, intermediate = SIZES[model]
    (folder / "scale.toml").write_text(f"""
[run]
name = "scale"
[model]
init = "scratch"
max_length = 128
[model.config]
hidden_size = {hidden}
num_hidden_layers = {layers}
num_attention_heads = {heads}
intermediate_size = {intermediate}
max_position_embeddings = 512
[model.vocabulary]
size = 30000
[[task]]
name = "paraphrase"
type = "pair_classify"
labels = 2
encode = "joint"
[task.data]
train = "samples/paraphrase-train.csv"
text = "sentence1"
text_pair = "sentence2"
[[stage]]
epochs = 50
max_steps = {steps}
batch = {batch}
lr = 1e-5
select = "last"
eval_train = 0
""")


def step_seconds(run):
    """Median time of a step, the first two left out, and the tokens of one."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if line["event"] == "step"]
    seconds = [b["wall_s"] - a["wall_s"] for a, b in zip(steps[1:], steps[2:])]
    return statistics.median(seconds), statistics.mean(step["tokens"] for step in steps[2:])


def train(options, folder, ranks, wire="f32"):
    run = folder / "run"
    command = [str(options.program), "train", "scale.toml", "-o", str(run), "--overwrite", "--threads", "1", "--wire-dtype", wire, "-q"]
    command = ["ip", "netns", "exec", NAMES[0], "taskset", "-c", "0", *command] if ranks == 1 else launch(folder, command)
    finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    if finished.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{finished.stderr}")
    return step_seconds(run)


def elements(model):
    """Parameters without word embeddings, and the elements of a word's row."""
    hidden, layers, _, intermediate = SIZES[model]
    layer = 4 * hidden * (hidden + 1) + hidden * intermediate * 2 + intermediate + hidden + 4 * hidden
    return layers * layer + (512 + 4) * hidden, hidden


def predict(compute_s, model, touched_rows, ranks, link, wire):
    """Seconds of a step on `ranks` ranks, one of which computes its share in compute_s."""
    dense, width = elements(model)
    words = touched_rows * width
    wire_bytes = 2 if wire == "bf16" else 4
    part = (ranks - 1) / ranks
    buckets = dense * 4 / BUCKET_BYTES + 2
    latency = link["alpha_s"] * (ranks - 1) * buckets
    summing = latency + part * wire_bytes * (dense + words) / link["beta_bytes_s"]
    last = part * wire_bytes * (min(dense, BUCKET_BYTES / 4) + words) / link["beta_bytes_s"]
    stolen = part * wire_bytes * dense * link["busy_s_byte"]  # from the backward pass on the same core
    spreading = latency + part * 4 * (dense + words) / link["beta_bytes_s"]
    return compute_s + stolen + max(last, summing - 2 / 3 * compute_s - stolen) + spreading


def main():
    if sys.argv[1:2] == ["--talk"]:
        return talk(int(sys.argv[2]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=pathlib.Path, required=True, help="a minbert of the preset mpi")
    parser.add_argument("--gbit", type=float, nargs="+", default=[1, 10])
    parser.add_argument("--models", nargs="+", default=["minilm", "base"], choices=list(SIZES))
    parser.add_argument("--wire", nargs="+", default=["f32", "bf16"], choices=["f32", "bf16"])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=10)
    options = parser.parse_args()
    options.program = options.program.resolve()
    mpi = sh("mpirun --version").splitlines()[0].removeprefix("mpirun (").replace(")", "")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        sh(f"{options.program} sample-data -o samples --train-rows 1000 --dev-rows 4 --test-rows 4 -q", cwd=folder)
        make_link()
        try:
            for model in options.models:
                write_config(folder, model, options.batch // 2, options.steps)
                half_s, _ = train(options, folder, 1)
                write_config(folder, model, options.batch, options.steps)
                whole_s, tokens = train(options, folder, 1)
                touched = 0.3 * tokens  # distinct words of a step
                for gbit in options.gbit:
                    shape_link(gbit)
                    link = measure_link(folder)
                    for wire in options.wire:
                        two_s, _ = train(options, folder, 2, wire)
                        modelled = predict(half_s, model, touched, 2, link, wire)
                        figure = {"bench": "scale", "model": model, "batch": options.batch, "machine": common.machine(), "mpi": mpi, "gbit": gbit, "wire": wire, **link,
                                  "tokens": tokens, "one_rank_s": whole_s, "half_batch_s": half_s, "two_ranks_s": two_s, "model_s": modelled,
                                  "speedup": whole_s / two_s, "exposed_s": two_s - half_s,
                                  "predicted": {n: n * half_s / predict(half_s, model, touched, n, link, wire) for n in [2, 4, 8, 16, 32, 64]}}  # fmt: skip
                        print(json.dumps(figure), flush=True)
                        print(f"{model} {gbit:g} Gbit/s {wire}: {tokens / whole_s:.0f} tokens/s on 1 rank, {tokens / two_s:.0f} on 2 "
                              f"({whole_s / two_s:.2f}x); exposed {1e3 * (two_s - half_s):.0f} ms, model says {1e3 * (modelled - half_s):.0f}; "
                              f"with as much work for each rank, 64 nodes would do that of {figure['predicted'][64]:.1f} (prediction)",
                              file=sys.stderr, flush=True)  # fmt: skip
        finally:
            remove_link()


if __name__ == "__main__":
    main()
