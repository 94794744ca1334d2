#!/bin/bash
# Sentence vectors of a large file by several processes on one machine, under GNU parallel. Run it again after a stop: finished shards
# end at once, others go on where they were.
#   examples/parallel/embed.sh MODEL lines.txt vectors.npy [SHARDS [JOBS]]
set -euo pipefail
model=$1 input=$2 output=$3 shards=${4:-4} jobs=${5:-2}
seq 0 $((shards - 1)) | parallel --halt soon,fail=1 --jobs "$jobs" minbert embed "$model" -i "$input" -o "$output" --shard "{}/$shards" --threads 1 -q
minbert merge "$output" --of "$shards"
