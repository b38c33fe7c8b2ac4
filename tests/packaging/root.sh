# shellcheck shell=bash
# A Debian root of its own, for bare-root and bare-wheel, which source this: make_root makes it in $root and removes it at the end,
# in_root COMMAND runs a command there. Needs root and debootstrap.

fail() { echo "${0##*/}: $*" >&2; exit 1; }

make_root() {
  command -v debootstrap >/dev/null || { echo "skipped: ${0##*/}: there is no debootstrap"; exit 77; }
  root=$(mktemp -d)
  chmod 755 "$root" # apt downloads as a user of its own
  trap end EXIT
  debootstrap --variant=minbase "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$root" ${CDL_DEBIAN_MIRROR:+"$CDL_DEBIAN_MIRROR"} >/dev/null
  mount -t proc proc "$root/proc"
  cp -L /etc/resolv.conf "$root/etc/"
}

end() {
  umount -l "$root/proc" 2>/dev/null || true
  if ! mountpoint -q "$root/proc"; then rm -rf --one-file-system "$root"; fi
}

in_root() { chroot "$root" env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 bash -c "$1"; }
