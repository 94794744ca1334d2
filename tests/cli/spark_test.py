#!/usr/bin/env python3
"""Runs the partitions of examples/spark/predict.py through the program; with --spark the whole of it, on two local cores.

Usage: spark_test.py PROGRAM PROJECT [--spark]
"""
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile


def load(path):
    spec = importlib.util.spec_from_file_location("spark_example", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main():
    program, project = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2])
    if "--spark" in sys.argv and shutil.which("java") is None:
        print("skipped: no Java")
        sys.exit(77)
    script = project / "examples/spark/predict.py"
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.mkdir("bin")
        os.symlink(program, "bin/minbert")
        os.environ["PATH"] = f"{folder}/bin:{os.environ['PATH']}"
        shutil.copy(project / "tests/tiny.toml", ".")
        subprocess.run(["minbert", "sample-data", "-o", "samples", "--train-rows", "20", "--dev-rows", "4", "--test-rows", "4", "-q"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["minbert", "train", "tiny.toml", "-o", "run", "--threads", "1", "-q"], check=True)
        rows = [{"id": f"row {i}", "text": f"a film\nnumber {i}"} for i in range(25)]
        expected = []
        for row in rows:
            out = subprocess.run(["minbert", "predict", "run", "--in-format", "jsonl", "--text", "text"], input=json.dumps(row), text=True, capture_output=True, check=True).stdout
            expected.append((row["id"], str(json.loads(out)["pred"])))
        example = load(script)
        got = []
        for begin in range(0, 30, 10):  # the last partition is half full, one more is empty
            got += list(example.label_partition(iter(rows[begin:begin + 10]), "run", "any", "text", "id"))
        got += list(example.label_partition(iter([]), "run", "any", "text", "id"))
        assert [(key, pred) for key, pred, _ in got] == expected, got
        try:
            list(example.label_partition(iter([{"id": "1", "text": None}]), "run", "any", "text", "id"))
        except RuntimeError as error:
            assert "after 0 of 1 rows" in str(error), error
        else:
            raise AssertionError("a partition that fails is not told")
        if "--spark" not in sys.argv:
            return
        from pyspark.sql import SparkSession
        spark = SparkSession.builder.master("local[2]").getOrCreate()
        spark.createDataFrame(rows).write.parquet("in.parquet")
        spark.stop()
        subprocess.run([sys.executable, script, "run", "any", "in.parquet", "out.parquet"], check=True, env=dict(os.environ, PYSPARK_SUBMIT_ARGS="--master local[2] pyspark-shell"))
        spark = SparkSession.builder.master("local[2]").getOrCreate()
        labels = {row["id"]: row["pred"] for row in spark.read.parquet("out.parquet").collect()}
        spark.stop()
        assert labels == dict(expected), labels


if __name__ == "__main__":
    main()
