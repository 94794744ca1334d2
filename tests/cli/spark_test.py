#!/usr/bin/env python3
"""Runs partitions through the functions of examples/spark; with --spark all of the scripts, on two local cores.

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
        try:
            import minbert
            import pandas
            vectors = minbert.load("run").encode([row["text"] for row in rows])
        except ImportError as error:
            print(f"embed.py is skipped: {error}")
            minbert = None
        if minbert:
            frames = [pandas.DataFrame(rows[:10]), pandas.DataFrame(rows[10:]), pandas.DataFrame(rows[:0], columns=["id", "text"])]
            got = pandas.concat(load(project / "examples/spark/embed.py").embed_frames(iter(frames), "run", "text", "id"))
            assert list(got["id"]) == [row["id"] for row in rows] and (got["vector"].tolist() == vectors).all()
        if "--spark" not in sys.argv:
            return
        from pyspark.sql import SparkSession
        spark = SparkSession.builder.master("local[2]").getOrCreate()
        spark.createDataFrame(rows).write.parquet("in.parquet")
        spark.stop()

        def run(example, *arguments):
            """The rows that an example writes for those of in.parquet."""
            command = [sys.executable, project / "examples/spark" / example, *arguments[:-1], "in.parquet", arguments[-1]]
            subprocess.run(command, check=True, env=dict(os.environ, PYSPARK_SUBMIT_ARGS="--master local[2] pyspark-shell"))
            spark = SparkSession.builder.master("local[2]").getOrCreate()
            out = spark.read.parquet(arguments[-1]).collect()
            spark.stop()
            return out

        labels = {row["id"]: row["pred"] for row in run("predict.py", "run", "any", "labels.parquet")}
        assert labels == dict(expected), labels
        if minbert:
            got = {row["id"]: row["vector"] for row in run("embed.py", "run", "vectors.parquet")}
            assert len(got) == len(rows) and all(got[row["id"]] == vector.tolist() for row, vector in zip(rows, vectors))


if __name__ == "__main__":
    main()
