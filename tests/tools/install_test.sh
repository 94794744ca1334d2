#!/bin/sh
# Installs a build into a folder of its own, checks headers and symbols there, and builds and runs the examples against it.
# Usage: install_test.sh BUILD SOURCE
set -eu
build=$1 source=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
prefix=$folder/prefix
cmake --install "$build" --prefix "$prefix" >/dev/null
libdir=$(dirname "$(find "$prefix" -name libminbert.so)")

echo "== headers are these, and compile alone"
(cd "$prefix/include" && find . -name '*.h' | LC_ALL=C sort) >"$folder/headers"
cat >"$folder/expected" <<END
./minbert.h
./minbert/base/error.h
./minbert/pipeline.h
./minbert/pipeline/api.h
./minbert/train/api.h
END
diff "$folder/expected" "$folder/headers"
while read -r header; do
  echo "#include <${header#./}>" >"$folder/alone.cpp"
  c++ -std=c++20 -Wall -Wextra -Werror -I"$prefix/include" -fsyntax-only "$folder/alone.cpp"
done <"$folder/headers"
if grep -rlE 'dnnl|hwy|json\.hpp|fmt/' "$prefix/include"; then echo "foreign headers" >&2; exit 1; fi
echo '#include <minbert.h>' >"$folder/alone.c"
cc -std=c99 -Wall -Wextra -pedantic -Werror -I"$prefix/include" -fsyntax-only "$folder/alone.c"

echo "== the programs of docs/library.md compile"
block() { awk -v "fence=\`\`\`$1" '$0 == fence { inside = 1; next } /^```/ { inside = 0 } inside' "$source/docs/library.md"; }
block cpp >"$folder/document.cpp"
block c >"$folder/document.c"
test -s "$folder/document.cpp" && test -s "$folder/document.c"
c++ -std=c++20 -Wall -Wextra -Werror -I"$prefix/include" -fsyntax-only "$folder/document.cpp"
cc -std=c99 -Wall -Wextra -Werror -I"$prefix/include" -fsyntax-only "$folder/document.c"

echo "== shared libraries show only minbert's names"
nm -D --defined-only -C "$libdir/libminbert.so" | cut -d' ' -f3- | grep -vE '^(minbert::|(typeinfo|typeinfo name|vtable) for minbert::)' && exit 1
nm -D --defined-only "$libdir/libminbert_c.so" | cut -d' ' -f3- | grep -v '^minbert_' && exit 1

echo "== a tiny model"
cat >"$folder/train.csv" <<END
text,label
a fine film,good
a dull film,bad
fine,good
dull,bad
END
cat >"$folder/tiny.toml" <<END
[model]
init = "scratch"
max_length = 16
[model.config]
hidden_size = 16
num_hidden_layers = 1
num_attention_heads = 2
intermediate_size = 16
[model.vocabulary]
size = 100
[[task]]
name = "mood"
type = "classify"
head = { dense = [] }
[task.data]
train = "train.csv"
text = "text"
label = "label"
[[stage]]
epochs = 1
END
"$prefix/bin/minbert" train -q "$folder/tiny.toml" -o "$folder/run" >/dev/null
printf 'a fine film\ndull\nfine\n' >"$folder/lines"
"$prefix/bin/minbert" predict "$folder/run" --dtype f32 -i "$folder/lines" --in-format lines --format tsv >"$folder/wanted"

check() {  # the labels of the example that follows are those of the program
  "$@" "$folder/run" mood <"$folder/lines" | tee "$folder/out" | head -n 3 | cut -d' ' -f1 >"$folder/labels"
  tail -n +2 "$folder/wanted" | cut -f2 | diff - "$folder/labels"
}
for language in cpp c; do
  for kind in shared static; do
    [ $language$kind != cstatic ] || continue
    echo "== $language, find_package, $kind"
    mkdir "$folder/$language-$kind"
    cp "$source/examples/$language"/* "$folder/$language-$kind"
    [ $kind = shared ] || sed -i 's/REQUIRED)/REQUIRED COMPONENTS static)/' "$folder/$language-$kind/CMakeLists.txt"
    cmake -S "$folder/$language-$kind" -B "$folder/$language-$kind/build" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" >"$folder/log" ||
      { cat "$folder/log"; exit 1; }
    cmake --build "$folder/$language-$kind/build" >"$folder/log" || { cat "$folder/log"; exit 1; }
    check "$folder/$language-$kind/build/example"
  done
done
if command -v pkg-config >/dev/null; then
  echo "== pkg-config"
  export PKG_CONFIG_PATH=$libdir/pkgconfig LD_LIBRARY_PATH=$libdir
  # The words of pkg-config's answer are separate arguments.
  c++ -std=c++20 "$source/examples/cpp/main.cpp" $(pkg-config --cflags --libs minbert) -o "$folder/cpp-pc"
  check "$folder/cpp-pc"
  cc "$source/examples/c/main.c" $(pkg-config --cflags --libs minbert_c) -o "$folder/c-pc"
  check "$folder/c-pc"
  # A good and a wrong task under a checker of memory, which gives exit codes of its own when it finds something.
  check_memory() {
    check "$@"
    "$@" "$folder/run" moot <"$folder/lines" >/dev/null 2>"$folder/errors" && exit 1 || test $? -eq 2
  }
  echo "== sanitizers"
  echo 'int main(void) { return 0; }' >"$folder/probe.c"
  if { cc -fsanitize=address,undefined "$folder/probe.c" -o "$folder/probe" && "$folder/probe"; } >"$folder/log" 2>&1; then
    cc -fsanitize=address,undefined -fno-sanitize-recover "$source/examples/c/main.c" $(pkg-config --cflags --libs minbert_c) -o "$folder/c-asan"
    check_memory "$folder/c-asan"
  else
    echo "skipped: no sanitizers here"
  fi
  if command -v valgrind >/dev/null; then
    echo "== valgrind"
    export MINBERT_ISA=avx2  # valgrind knows no larger instruction set
    check_memory valgrind -q --error-exitcode=9 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite "$folder/c-pc"
    unset MINBERT_ISA
  fi
fi
if "$folder/cpp-shared/build/example" /no/such </dev/null 2>"$folder/errors"; then exit 1; fi
grep -q 'error \[model\] /no/such: expected a model folder' "$folder/errors"
