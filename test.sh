#!/usr/bin/env bash
# Installs what is missing, builds and runs every test: the suite in release, then unit and grad under ASan and UBSan.
set -euo pipefail
cd "$(dirname "$0")"

usage() {
  cat <<'END'
usage: ./test.sh [--quick] [--oracles] [--tsan]
  --quick     the release suite only
  --oracles   install torch, transformers and other reference packages (2 GB) into .venv, so that every comparison with them runs
  --tsan      run the unit tests under ThreadSanitizer as well
END
}

quick='' oracles='' tsan=''
for argument in "$@"; do
  case $argument in
    --quick) quick=1 ;;
    --oracles) oracles=1 ;;
    --tsan) tsan=1 ;;
    -h | --help) usage; exit 0 ;;
    *) echo "test.sh: unknown argument $argument" >&2; usage >&2; exit 2 ;;
  esac
done

tools/install_dependencies.sh

# Tests that compare with Python packages skip where these are absent. The light ones are tried always, the heavy ones on demand.
# tools/check_format.py wants this version of clang-format. With nanobind, the release build has the Python package, which takes minutes more.
light=(numpy safetensors tokenizers transformers axe_core_python clang_format==18.1.8)
heavy=(torch sentence-transformers scikit-learn scipy pandas onnx onnxruntime nanobind pytest)
pip_install() { .venv/bin/python -m pip install --quiet --disable-pip-version-check --retries 1 "$@"; }
[[ -x .venv/bin/python ]] || python3 -m venv .venv
.venv/bin/python -c "import $(IFS=,; echo "${light[*]%%==*}")" 2>/dev/null || pip_install "${light[@]}" ||
  echo "test.sh: ${light[*]} could not be installed; the tests that compare with them are skipped" >&2
[[ -z $oracles ]] || pip_install "${light[@]}" "${heavy[@]}"
export PATH="$PWD/.venv/bin:$PATH"

run() {  # run PRESET [COMMAND...]: configure, build, test; COMMAND starts the programs
  printf '\n== %s ==\n' "$1"
  cmake --preset "$1" >"build/$1.configure.log" 2>&1 || { cat "build/$1.configure.log"; exit 1; }
  "${@:2}" cmake --build --preset "$1"
  "${@:2}" ctest --preset "$1" -j "$((2 * $(nproc)))"  # many tests wait for clocks and for other processes
}
# The sanitizers of older compilers cannot start where the kernel spreads addresses widely (vm.mmap_rnd_bits = 32).
steady=()
if setarch -R true 2>/dev/null; then steady=(setarch -R); fi
mkdir -p build
run release
[[ -n $quick ]] || run asan "${steady[@]}"
[[ -z $tsan ]] || run tsan "${steady[@]}"
