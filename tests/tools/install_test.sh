#!/bin/sh
# Installs a build into a folder of its own, builds the consumer against it and runs it. Usage: install_test.sh BUILD
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cmake --install "$1" --prefix "$folder/prefix" >/dev/null
test -x "$folder/prefix/bin/minbert" || test ! -e "$1/minbert"
cmake -S "$(dirname "$0")/consumer" -B "$folder/build" -G Ninja -DCMAKE_PREFIX_PATH="$folder/prefix" >"$folder/log" ||
  { cat "$folder/log"; exit 1; }
cmake --build "$folder/build"
"$folder/build/consumer"
