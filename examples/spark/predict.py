#!/usr/bin/env python3
"""Labels for a column of a Spark data frame: each partition is piped through one minbert process.

spark-submit --master 'local[2]' examples/spark/predict.py MODEL TASK IN.parquet OUT.parquet [TEXT_COLUMN [ID_COLUMN]]

minbert reads JSON lines and writes one answer for each, in order, with the id of its row. A process that fails fails its partition,
which Spark then tries again; no row is lost silently.
"""
import json
import subprocess
import sys
import threading


def label_partition(rows, model, task, text, key):
    """Yields (id, pred, score) for the rows of a partition."""
    command = ["minbert", "predict", model, "--task", task, "-i", "-", "--in-format", "jsonl", "--text", "text", "--id", "id",
               "--no-probs", "-o", "-", "--threads", "1", "-q"]
    rows = iter(rows)
    first = next(rows, None)
    if first is None:  # an empty partition; minbert refuses empty input
        return
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    sent = [0]

    def feed():
        with process.stdin:
            row = first
            while row is not None:
                process.stdin.write(json.dumps({"id": str(row[key]), "text": row[text]}) + "\n")
                sent[0] += 1
                row = next(rows, None)

    feeder = threading.Thread(target=feed)
    feeder.start()
    got = 0
    for line in process.stdout:
        answer = json.loads(line)
        got += 1
        yield answer["id"], str(answer["pred"]), answer["score"]
    feeder.join()
    if process.wait() != 0 or got != sent[0]:
        raise RuntimeError(f"minbert ended with {process.returncode} after {got} of {sent[0]} rows")


def main():
    from pyspark.sql import SparkSession
    model, task, source, target = sys.argv[1:5]
    text = sys.argv[5] if len(sys.argv) > 5 else "text"
    key = sys.argv[6] if len(sys.argv) > 6 else "id"
    spark = SparkSession.builder.appName("minbert").getOrCreate()
    rows = spark.read.parquet(source).select(key, text)
    labels = rows.rdd.mapPartitions(lambda part: label_partition(part, model, task, text, key))
    labels.toDF("id string, pred string, score double").write.mode("overwrite").parquet(target)
    spark.stop()


if __name__ == "__main__":
    main()
