#!/usr/bin/env python3
"""Runs the examples for Slurm on one node: a Slurm of its own, with the scripts of examples/slurm made smaller.

Usage: slurm_test.py PROGRAM PROJECT ON|OFF     (OFF: the program was built without MPI)
Needs Slurm's daemons and root, and ends with 77 (skipped) where they are missing or do not start.
"""
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from mpi_test import CONFIG, check, digest, steps_of

CONF = """
ClusterName=test
SlurmctldHost={host}
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/none
CredType=cred/none
SlurmUser=root
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
NodeName={host} CPUs={cpus} State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES State=UP
"""


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def wait_for(condition, seconds, what):
    for _ in range(10 * seconds):
        if condition():
            return True
        time.sleep(0.1)
    return what and sys.exit(f"failed: {what}")


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def smaller(script, **settings):
    """A batch script of examples/slurm with other #SBATCH settings."""
    text = script.read_text()
    for key, value in settings.items():
        text, found = re.subn(rf"(#SBATCH --{key.replace('_', '-')}=).*", rf"\g<1>{value}", text)
        check(found == 1, f"{script.name} sets --{key} {found} times")
    return text


def test_array(examples):
    script = smaller(examples / "embed_array.sbatch", array="0-2", cpus_per_task=1).replace("auto/64", "auto/3")
    pathlib.Path("array.sbatch").write_text(script)
    pathlib.Path("lines.txt").write_text("".join(f"a film, number {i}\n" for i in range(100)))
    run("sbatch", "--wait", "array.sbatch", "small", "lines.txt", "vectors.npy")
    run("minbert", "merge", "vectors.npy")
    run("minbert", "embed", "small", "-i", "lines.txt", "-o", "whole.npy", "-q")
    check(pathlib.Path("vectors.npy").read_bytes() == pathlib.Path("whole.npy").read_bytes(), "an array's vectors are not those of one process")


def test_requeue(examples):
    pathlib.Path("tiny.toml").write_text(CONFIG.replace("max_steps = 50", "max_steps = 1500"))
    pathlib.Path("train.sbatch").write_text(smaller(examples / "train.sbatch", nodes=1, ntasks_per_node=2, cpus_per_task=1, time=10))
    job = run("sbatch", "--parsable", "--output=train.out", "train.sbatch", "tiny.toml", "stopped").strip()
    state = lambda: re.search(r"JobState=(\S+)", run("scontrol", "show", "job", job))[1]  # noqa: E731
    told = lambda: pathlib.Path("train.out").read_text()  # noqa: E731
    wait_for(lambda: pathlib.Path("stopped/metrics.jsonl").exists() and len(steps_of("stopped")) > 100, 60, "the job makes no steps")
    run("scancel", "--signal=USR1", job)  # as Slurm does before the time limit
    wait_for(lambda: state() == "PENDING", 60, "the job was not requeued")
    check("stopped after a checkpoint" in told(), told())
    run("scontrol", "update", f"JobId={job}", "StartTime=now")  # a requeued job waits two minutes otherwise
    wait_for(lambda: state() in ("COMPLETED", "FAILED"), 120, "the requeued job does not end")
    check(state() == "COMPLETED" and "Restarts=1" in run("scontrol", "show", "job", job), told())
    check(len(steps_of("stopped")) == 1500, "steps are missing or double")
    run("srun", "--mpi=pmix", "-n", "2", "minbert", "train", "tiny.toml", "-o", "whole", "-q")
    check(digest("stopped") == digest("whole"), "the requeued run has other bytes")


def main():
    program, project, has_mpi = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3] == "ON"
    missing = [name for name in ("slurmctld", "slurmd", "sbatch") if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        skip(f"no {', '.join(missing)}" if missing else "needs root")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name in ("state", "spool", "bin"):
            os.mkdir(name)
        os.symlink(program, "bin/minbert")
        host = socket.gethostname().split(".")[0]
        pathlib.Path("slurm.conf").write_text(CONF.format(host=host, folder=folder, ports=free_ports(2), cpus=os.cpu_count()))
        os.environ |= {"SLURM_CONF": f"{folder}/slurm.conf", "PATH": f"{folder}/bin:{os.environ['PATH']}", "MINBERT_THREADS": "1"}
        with open("daemons.log", "w") as log:
            daemons = [subprocess.Popen([name, "-D"], stdout=log, stderr=log) for name in ("slurmctld", "slurmd")]
        try:
            if not wait_for(lambda: "idle" in subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True).stdout, 20, None):
                skip(f"Slurm does not start here\n{pathlib.Path('daemons.log').read_text()[-2000:]}")
            pathlib.Path("tiny.toml").write_text(CONFIG)
            run("minbert", "sample-data", "-o", "samples", "--train-rows", "60", "--dev-rows", "30", "--test-rows", "4", "-q")
            run("minbert", "train", "tiny.toml", "-o", "small", "-q")
            test_array(project / "examples/slurm")
            if has_mpi:
                test_requeue(project / "examples/slurm")
            else:
                print("train.sbatch is left out: this build knows no MPI")
        finally:
            for daemon in daemons:
                daemon.terminate()
                daemon.wait()


if __name__ == "__main__":
    main()
