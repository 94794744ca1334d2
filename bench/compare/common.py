"""Shared by the comparisons: random examples, contestants that run in turns, and figures to print."""

import argparse
import json
import math
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORES = os.cpu_count()


# Encoders with random weights that --model may name where no text is read: layers, hidden size, intermediate size, heads.
SIZES = {"bert-tiny": (2, 128, 512, 2), "minilm": (6, 384, 1536, 12), "bert-base": (12, 768, 3072, 12), "bert-large": (24, 1024, 4096, 16)}
TORCH = ["sdpa", "eager", "compiled"]  # engines that are ways of PyTorch


def parser(doc, rounds, sizes=False):
    """The flags of every comparison."""
    words = f", or {', '.join(SIZES)}: that size with random weights" if sizes else ""
    flags = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--model", type=Path, required=True, help=f"Hugging Face folder of a BERT{words}")
    flags.add_argument("--bench", type=Path, default=HERE.parents[1] / "build/release/minbert-bench", help="default: %(default)s")
    flags.add_argument("--rounds", type=int, default=rounds, help="turns that each contestant takes (default %(default)s)")
    flags.add_argument("--repeats", type=int, default=3, help="times each batch is timed within a turn (default %(default)s)")
    flags.add_argument("--threads", type=int, default=CORES, help="of each contestant (default %(default)s)")
    flags.add_argument("--beside", type=int, default=0, help="processes that each keep a core busy meanwhile; --busy does not count then")
    return add_busy_flag(flags)


def add_busy_flag(flags):
    flags.add_argument("--busy", type=float, default=0.02,
                       help="share of the cores that other processes may take in a round that counts (default %(default)s)")  # fmt: skip
    return flags


def add_batch_flags(flags):
    """The flags of comparisons on batches of token ids."""
    flags.add_argument("--ids", type=Path, help="token ids of an example on each line, as minbert tokenize prints them; default: by seed")
    flags.add_argument("--steps", type=int, default=20, help="batches (default %(default)s)")
    flags.add_argument("--tokens", type=float, default=28, help="mean length of examples made by seed (default %(default)s)")
    return flags


def make_model(o, folder):
    """Writes a model folder where o.model is the name of a size. It runs in a process of its own, because memory of this one would count for all contestants."""
    if str(o.model) not in SIZES:
        return
    shape = SIZES[str(o.model)]
    o.model = Path(folder) / str(o.model)
    run(peer(o, "make", "none", "--shape", *shape), environment(o))


def write_examples(path, o, count):
    """Token ids of `count` examples: the given ones, or uniform ids with lengths that vary as in reviews (deviation 0.4 means)."""
    config = json.loads((o.model / "config.json").read_text())
    if o.ids:
        lines = o.ids.read_text().splitlines()
        return path.write_text("".join(lines[i % len(lines)] + "\n" for i in range(count)))
    rng, sigma = random.Random(1), 0.4
    longest = min(128, config["max_position_embeddings"])
    with path.open("w") as out:
        for _ in range(count):
            length = round(rng.lognormvariate(math.log(o.tokens) - sigma**2 / 2, sigma))
            print(*(rng.randrange(config["vocab_size"]) for _ in range(max(4, min(longest, length)))), file=out)


def sort_by_length(path):
    path.write_text("".join(sorted(path.read_text().splitlines(keepends=True), key=lambda line: line.count(" "))))


def ours(o, verb, *arguments):
    return [str(o.bench), verb, "--model", str(o.model), "--threads", str(o.threads), "--rounds", str(o.repeats),
            *map(str, arguments)]  # fmt: skip


def peer(o, verb, engine, *arguments):
    return [sys.executable, str(HERE / "peer.py"), verb, "--engine", engine, "--model", str(o.model), "--threads", str(o.threads),
            "--rounds", str(o.repeats), *map(str, arguments)]  # fmt: skip


def installed(module):
    """Whether a module, also one within a package, can be found."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # its package is missing
        return False


def available(engines, known):
    """The engines that are installed here, of `known`: {engine: (packages, precisions)}. Names the others on stderr."""
    found = []
    for engine in engines:
        missing = [package for package in known[engine][0] if not installed(package)]
        if missing:
            print(f"{engine} skipped: {', '.join(missing)} not installed", file=sys.stderr)
        else:
            found.append(engine)
    return found


def export(o, engines, folder):
    """Exports the model in the format of each engine, for its flag --exported. "openvino-throughput" runs the files of openvino."""
    exported = {engine: Path(folder) / engine.removesuffix("-throughput") for engine in engines}
    for path in set(exported.values()):
        run(peer(o, "export", path.name, "--exported", path), environment(o))
    return exported


def contestants(o, verb, dtype, same, engines, known, exported, own=()):
    """Commands by name: minbert, with arguments of its `own`, and the engines that have this precision in `known`; all with the arguments `same`."""
    found = {"minbert": ours(o, verb, *same, *own, "--dtype", dtype)}
    for engine in engines:
        if dtype in known[engine][1]:
            graph = ["--exported", exported[engine]] if engine in exported else []
            found[f"PyTorch {engine}" if engine in TORCH else engine] = peer(o, verb, engine, *same, "--dtype", dtype, *graph)
    return found


def environment(o):
    """Equal threads, and a malloc that does not return memory: without it peers have page faults in every step. minbert takes more memory with it."""
    threads = str(o.threads)
    return os.environ | {
        "OMP_NUM_THREADS": threads, "RAYON_NUM_THREADS": threads, "TOKENIZERS_PARALLELISM": "true" if o.threads > 1 else "false",
        "HF_HUB_OFFLINE": "1", "MALLOC_MMAP_THRESHOLD_": str(1 << 32), "MALLOC_TRIM_THRESHOLD_": str(1 << 34),
    }  # fmt: skip


def busy_of(core):
    """Busy seconds of "cpu", all cores together, or of one such as "cpu0"; those of the kernel's network code too."""
    fields = next(line.split()[1:9] for line in Path("/proc/stat").read_text().splitlines() if line.startswith(f"{core} "))
    seconds = [int(field) / os.sysconf("SC_CLK_TCK") for field in fields]
    return sum(seconds) - seconds[3] - seconds[4]


def busy_seconds():
    """Busy seconds of all cores together, and of this process's finished children."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return busy_of("cpu"), used.ru_utime + used.ru_stime


def run(command, env):
    """The output of a process. Exits when the process fails."""
    result = subprocess.run(command, env=env, capture_output=True, text=True)
    if result.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{result.stderr}")
    return result.stdout


def turn(command, env):
    """The JSON line of one contestant, with the share of the cores that other processes used meanwhile."""
    start, (all_before, own_before) = time.perf_counter(), busy_seconds()
    record = json.loads(run(command, env).splitlines()[-1])
    all_after, own_after = busy_seconds()
    others = (all_after - all_before - own_after + own_before) / (time.perf_counter() - start) / CORES
    return record | {"others": max(0.0, others)}


@contextmanager
def busy_machine(count):
    """While it lasts, `count` processes each want a core, which the scheduler chooses."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def take_turns(o, contestants):
    """The records of each contestant, and the number of rounds that were repeated because other processes disturbed them."""
    records, env, disturbed = [], environment(o), 0
    while len(records) < o.rounds:
        turns = {name: turn(command, env) for name, command in contestants.items()}
        work = {(record.get("tokens"), record.get("lines")) for record in turns.values()}
        if len(work) != 1:
            raise SystemExit(f"contestants did not do the same work (tokens, lines): {work}")
        if max(record["others"] for record in turns.values()) <= o.busy:
            records.append(turns)
        else:
            disturbed += 1
            print(f"round disturbed: {[round(r['others'], 3) for r in turns.values()]} of the cores went to others", file=sys.stderr)
            if disturbed > 2 * o.rounds + 3:
                raise SystemExit("the machine is too busy to compare anything (see --busy)")
    return {name: [turns[name] for turns in records] for name in contestants}, disturbed


def spread(values, digits=3):
    """Median, least and most."""
    return {"median": round(statistics.median(values), digits), "min": round(min(values), digits), "max": round(max(values), digits)}


def model_name(o):
    config = json.loads((o.model / "config.json").read_text())
    return f"{o.model.name} ({config['num_hidden_layers']} x {config['hidden_size']})"


def machine():
    lines = [line.partition(":") for line in Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()]
    cpu = {key.strip(): value.strip() for key, _, value in lines}
    amx = " with AMX" if "amx_tile" in cpu.get("flags", "").split() else ""  # some machines of one model have it, others do not
    return f"{cpu.get('model name', '?')}{amx} (family {cpu.get('cpu family', '?')} model {cpu.get('model', '?')}), {CORES} cores"


def revision():
    result = subprocess.run(["git", "-C", str(HERE), "describe", "--always", "--dirty"], capture_output=True, text=True)
    return result.stdout.strip() or "unknown"


def compare(o, contestants, **what):
    """Runs contestants in turns, minbert first, and prints a JSON line for each peer: ratio = the peer's time over minbert's in the same round."""
    with busy_machine(o.beside):
        records, disturbed = take_turns(argparse.Namespace(**vars(o) | ({"busy": math.inf} if o.beside else {})), contestants)
    (_, mine), *peers = records.items()
    figures = []
    for name, theirs in peers:
        ours_ms, theirs_ms = (spread([r["ms"] for r in records]) for records in (mine, theirs))
        unit = "lines" if "lines" in mine[0] else "tokens"
        per_s = [round(mine[0][unit] / ms["median"] * 1e3) for ms in (ours_ms, theirs_ms)]
        figures.append(what | {
            "peer": name, "model": model_name(o),
            "tokens": mine[0].get("tokens"), unit: mine[0][unit],
            "ratio": spread([b["ms"] / a["ms"] for a, b in zip(mine, theirs)]),
            "ours_ms": ours_ms, "theirs_ms": theirs_ms,
            f"ours_{unit}_per_s": per_s[0], f"theirs_{unit}_per_s": per_s[1],
            "ours_peak_mb": spread([r["peak_rss_mb"] for r in mine], 0),
            "theirs_peak_mb": spread([r["peak_rss_mb"] for r in theirs], 0),
            "theirs_import_mb": spread([r["base_rss_mb"] for r in theirs], 0),
            "rounds": o.rounds, "disturbed": disturbed, "others": round(max(r["others"] for r in mine + theirs), 3),
            "threads": o.threads, "machine": machine(), **({"beside": o.beside} if o.beside else {}),
            "ours": {"backend": mine[0].get("backend"), "revision": revision()}
            | {key: statistics.median(r[key] for r in mine) for key in ("peak_gflops", "bandwidth_gbs", "floor_ms") if mine[0].get(key) and not o.beside},
            "theirs": theirs[0]["versions"],
        })  # fmt: skip
        print(json.dumps(figures[-1]), flush=True)
    return figures


def print_table(figures, columns):
    """Figures as a Markdown table: `columns` that say what was compared, then the times and their ratio."""
    def times(figure):
        return f"{figure['median']:.4g} ({figure['min']:.4g}-{figure['max']:.4g})"

    rows = [[*columns, "peer", "minbert ms", "peer ms", "ratio", "peak MB, minbert / peer"]]
    for f in figures:
        peaks = [f"{f[key]['median']:.0f}" for key in ("ours_peak_mb", "theirs_peak_mb")]
        cells = [times(f[key]) for key in ("ours_ms", "theirs_ms", "ratio")]
        rows.append([*(str(f[column]) for column in columns), f["peer"], *cells, " / ".join(peaks)])
    rows.insert(1, ["---"] * len(rows[0]))
    print("\n" + "\n".join("| " + " | ".join(row) + " |" for row in rows), file=sys.stderr)


def scratch():
    return tempfile.TemporaryDirectory(prefix="minbert-compare-")
