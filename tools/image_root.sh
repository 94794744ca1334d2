#!/usr/bin/env bash
# Makes a root folder that holds a program, all that it links, certificates, and a user: the content of the Docker image.
# Usage: tools/image_root.sh PROGRAM NEW_FOLDER
set -euo pipefail
program=$1 root=$2
[[ ! -e $root ]] || { echo "image_root.sh: $root exists" >&2; exit 2; }

mkdir -p "$root"/{etc/ssl/certs,usr/bin,work}
mkdir -m 1777 "$root/tmp"
install -m 755 "$program" "$root/usr/bin/minbert"
strip "$root/usr/bin/minbert"
# Each library goes where the loader, which is one of them, looks for it.
ldd "$program" | grep -o '/[^ ]*' | sort -u | while read -r library; do
  install -D -m 755 "$(readlink -f "$library")" "$root$library"
done
# glibc loads these when names of hosts are looked up (`minbert fetch`).
for library in libnss_files.so.2 libnss_dns.so.2 libresolv.so.2; do
  found=$(ldconfig -p | sed -n "s|.*$library .*=> ||p" | head -n 1)
  [[ -z $found ]] || install -D -m 755 "$(readlink -f "$found")" "$root$found"
done
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
echo 'minbert:x:10001:10001::/work:/sbin/nologin' >"$root/etc/passwd"
echo 'minbert:x:10001:' >"$root/etc/group"
chown 10001:10001 "$root/work" 2>/dev/null || echo "image_root.sh: not root, so /work belongs to $(id -un)" >&2
