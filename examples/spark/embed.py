#!/usr/bin/env python3
"""Sentence vectors for a column of a Spark data frame, by the Python package in each of Spark's workers.

spark-submit --master 'local[2]' examples/spark/embed.py MODEL IN.parquet OUT.parquet [TEXT_COLUMN [ID_COLUMN]]

The workers need minbert, pandas and pyarrow. Where only the program is installed, predict.py shows how to pipe rows through it.
"""
import sys


def embed_frames(frames, model, text, key):
    """Yields frames of (id, vector) for the frames of a partition."""
    import minbert
    import pandas
    loaded = minbert.load(model, threads=1)
    for frame in frames:
        vectors = loaded.encode(frame[text], show_progress_bar=False)
        yield pandas.DataFrame({"id": frame[key].astype(str), "vector": list(vectors)})


def main():
    from pyspark.sql import SparkSession
    model, source, target = sys.argv[1:4]
    text = sys.argv[4] if len(sys.argv) > 4 else "text"
    key = sys.argv[5] if len(sys.argv) > 5 else "id"
    spark = SparkSession.builder.appName("minbert").getOrCreate()
    rows = spark.read.parquet(source).select(key, text)
    vectors = rows.mapInPandas(lambda frames: embed_frames(frames, model, text, key), "id string, vector array<float>")
    vectors.write.mode("overwrite").parquet(target)
    spark.stop()


if __name__ == "__main__":
    main()
