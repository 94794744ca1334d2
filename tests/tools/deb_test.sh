#!/usr/bin/env bash
# Installs the package of tools/package.sh into a copy of a bare Debian root, and runs the quick start's commands there without a compiler.
# Usage: deb_test.sh SOURCE ROOT [DEB [MODEL]]; ROOT is what `debootstrap --variant=minbase bookworm ROOT` makes, or $MINBERT_BARE_ROOT; MODEL a
# Hugging Face folder to start from (a small one from scratch without it). Needs root. Ends with 77 (skipped, for ctest) without ROOT or DEB.
set -euo pipefail
source=$1 bare=${2:-${MINBERT_BARE_ROOT:-}} model=${4:-}
shopt -s nullglob
debs=("$source"/dist/minbert_*_"$(dpkg --print-architecture)".deb)
deb=${3:-${debs[0]:-}}
[[ -n $bare && -d $bare && -n $deb && $(id -u) -eq 0 ]] || { echo "skipped: no bare root, no package or not root"; exit 77; }
root=$(mktemp -d)
trap 'umount "$root/proc" 2>/dev/null || true; rm -rf "$root"' EXIT
cp -a "$bare/." "$root"
cp "$deb" "$root/root/minbert.deb"
cp /etc/resolv.conf "$root/etc/"
mount -t proc proc "$root/proc"
[[ -z $model ]] || cp -rL "$model" "$root/root/model"
inside() { chroot "$root" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive bash -ec "cd /root; $1"; }

start=$SECONDS
inside 'apt-get update -qq; dpkg -i minbert.deb >/dev/null 2>&1 || true; apt-get install -y -qq --fix-broken --no-install-recommends >/dev/null 2>&1; dpkg -s minbert | grep "^Status: install ok installed"'
echo "installed after $((SECONDS - start)) s"
inside '! command -v c++; ! command -v python3; minbert version -v; ls /usr/share/man/man1/minbert.1* /usr/share/bash-completion/completions/minbert /usr/share/doc/minbert/copyright'
inside '
recipe=/usr/share/doc/minbert/recipes/quickstart.toml
init=/root/model more=
[[ -d $init ]] || { init=scratch; more="--set stage.0.lr=5e-4 --set stage.0.head_lr=5e-4"; }
minbert sample-data -o samples --train-rows 300 --dev-rows 60 --test-rows 60 >/dev/null  # a seventh of what the quick start takes
minbert train $recipe -o run --set data.root=samples --set model.init=$init $more
minbert eval run
minbert report run -o report.html
test -s report.html
minbert predict run --task sentiment "Friendly staff and a lovely room, we will come back."
minbert predict run --task paraphrase "Can I bring my dog to the museum?" "Are dogs allowed in the museum?"
minbert export run -o onnx --as onnx'
echo "from nothing to a trained model and its predictions: $((SECONDS - start)) s"
