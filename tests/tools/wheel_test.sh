#!/usr/bin/env bash
# Installs the wheel of tools/package.sh into a bare virtual environment, runs the example of README.md, and times the import.
# Usage: wheel_test.sh SOURCE [WHEEL]. Ends with 77 (skipped, for ctest) where there is no wheel, or where numpy is not within reach.
set -euo pipefail
source=$1
shopt -s nullglob
wheels=("${2:-}" "$source"/dist/minbert-*.whl)
wheel=
for file in "${wheels[@]}"; do [[ ! -f $file ]] || wheel=$(realpath "$file"); done
[[ -n $wheel ]] || { echo "skipped: no wheel in dist/, tools/package.sh makes it"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${MINBERT_PYTHON:-python3}" -m venv venv || { echo "skipped: no venv"; exit 77; }
venv/bin/pip install --quiet --disable-pip-version-check numpy || { echo "skipped: numpy is not within reach"; exit 77; }
venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-index "$wheel"
export PATH="$folder/venv/bin:$PATH"

minbert version
minbert sample-data -o samples --train-rows 64 --dev-rows 8 --test-rows 4 >/dev/null
cp "$source/tests/tiny.toml" .
python -m minbert train -q tiny.toml -o run >/dev/null
minbert export run -o models/all-MiniLM-L6-v2 --as sentence-transformers
sed -n '/^```python$/,/^```$/p' "$source/README.md" | grep -v '^```' >example.py
test -s example.py
python example.py
python - <<'END'
import subprocess, sys, time
def seconds(code):
    best = 9.0
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        best = min(best, time.perf_counter() - start)
    return best
bare, numpy, minbert = (seconds(code) for code in ("pass", "import numpy", "import minbert"))
print(f"import minbert: {minbert - bare:.3f} s; numpy, which it imports when a model is loaded: {numpy - bare:.3f} s")
END
printf 'wheel: %s, %d bytes\n' "$(basename "$wheel")" "$(stat -c %s "$wheel")"
