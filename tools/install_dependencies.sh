#!/usr/bin/env bash
# Installs the Debian or Ubuntu packages that the build needs. If all are installed, it uses neither apt nor the network.
# Usage: install_dependencies.sh, or with --mpi for the preset mpi too, or with --arm64 to get those of the preset arm64, which cross-compiles (tools/arm64.cmake).
set -euo pipefail

# DESIGN.md says what each package is for. The word in brackets is CMake's name for it; check_layout.py compares these names.
packages=(
  ccache
  cmake
  g++                      # [OpenMP] [Threads]
  libboost-dev             # [Boost]
  libcli11-dev             # [CLI11]
  libcpp-httplib-dev       # [cpp-httplib]
  libcurl4-openssl-dev     # [CURL]
  libdnnl-dev              # [dnnl]
  libfmt-dev               # [fmt]
  libgtest-dev             # [GTest]
  libhwy-dev               # [HWY]
  libonnx-dev              # [ONNX]
  libprotobuf-dev          # [Protobuf]
  libssl-dev               # [OpenSSL]
  libtomlplusplus-dev      # [tomlplusplus]
  ninja-build
  nlohmann-json3-dev       # [nlohmann_json]
  ocl-icd-opencl-dev       # Debian's dnnl-config.cmake asks for OpenCL
  pkg-config               # [PkgConfig]
  python3                  # [Python]
  python3-dev              # the Python package, whose [nanobind] comes by pip
  python3-venv             # the tests' oracles and the quick start's second way to its weights
)
if [ "${1:-}" = --mpi ]; then
  packages+=(
    libopenmpi-dev         # [MPI]
    openmpi-bin
  )
fi

if [[ ${1:-} == --arm64 ]]; then
  # Libraries that are code are wanted for that architecture; tools, and packages of headers alone, for this one.
  wanted=()
  for package in "${packages[@]}"; do
    [[ ! $package =~ ^(lib.*|ocl-icd-opencl)-dev$ || $package == libcli11-dev ]] || package+=:arm64
    wanted+=("$package")
  done
  packages=("${wanted[@]}" crossbuild-essential-arm64 qemu-user-static)
fi

if ! command -v dpkg-query >/dev/null; then
  echo "install_dependencies: no dpkg here, so nothing was installed; the build needs what these Debian packages hold: ${packages[*]}" >&2
  exit 0
fi

missing=()
for package in "${packages[@]}"; do
  [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
done
[[ ${#missing[@]} -gt 0 ]] || exit 0

as_root=()
if [[ $(id -u) -ne 0 ]]; then
  command -v sudo >/dev/null || { echo "install_dependencies: run as root: apt-get install ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
echo "Installing ${missing[*]}" >&2
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
