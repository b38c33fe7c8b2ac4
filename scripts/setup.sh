# shellcheck shell=bash
# What quickstart and run-tests share: saying what happens, installing packages, building. Sourced, with the project's root as the
# current folder; `install=no` leaves packages alone.

# What only tests need: devices that are no GPUs, tools that watch, and a cache for what is compiled more than once. Debian 13
# does not have what is marked by `?`; the tests that want it are skipped by name.
# shellcheck disable=SC2034
test_packages=(ccache pocl-opencl-icd ocl-icd-libopencl1 libclblast1 oclgrind? valgrind mkdocs python3-pip openmpi-bin libopenmpi-dev
  mpich libmpich-dev)

# What --fuzz needs: libFuzzer comes with clang's run-time library.
# shellcheck disable=SC2034
fuzz_packages=(clang libclang-rt-dev)

step() { printf '\n== %s\n' "$*"; }
say() { printf '   %s\n' "$*"; }
fail() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# quietly HINT COMMAND ...: runs a command, shows its last lines and the hint only where it fails.
quietly() {
  local hint=$1 log
  shift
  log=$(mktemp) || fail "no room for a temporary file in ${TMPDIR:-/tmp}"
  if "$@" >"$log" 2>&1; then rm -f "$log"; return 0; fi
  tail -n 8 "$log" >&2
  rm -f "$log"
  fail "\`$*' failed, its last lines are above. $hint"
}

[ -w . ] || fail "cannot write in $PWD: copy the project to a folder of your own"

is_installed() { dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed; }

is_known() { apt-cache show "$1" >/dev/null 2>&1; }

# Sets `known` to what apt can install of `missing`; both belong to need_packages.
find_known() {
  known=()
  for package in "${missing[@]}"; do
    case $package in *\?) is_known "${package%\?}" || continue ;; esac
    known+=("${package%\?}")
  done
}

# need_packages PACKAGE ...: installs what debian/control names for the build without any MPI, and these packages, where they are missing; asks the
# network for nothing where none is. One with a `?` behind it is left out where this release does not have it.
need_packages() {
  local package wanted missing=() known=() as_root=() build_dep=(build-dep --no-install-recommends -P pkg.condlora.nompi ./)
  if [ "${install:-yes}" = no ]; then say "packages: taken as installed (--no-install)"; return 0; fi
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    fail "this system has no apt. Install what Build-Depends in debian/control names by its own means, and $*; then call again with --no-install"
  fi
  for package; do
    is_installed "${package%\?}" || missing+=("$package")
  done
  find_known
  # What apt-get would do; it fails where its lists are too old, or were never read.
  if wanted=$(apt-get -q --simulate "${build_dep[@]}" 2>/dev/null) && ! grep -q '^Inst ' <<<"$wanted" && [ ${#known[@]} -eq 0 ]; then
    say "packages: all here"
    return 0
  fi

  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null ||
      fail "packages are missing, and this is neither root nor is sudo here. As root, in $PWD: apt-get ${build_dep[*]} && apt-get install ${missing[*]%\?}"
    as_root=(sudo)
  fi
  say "packages: installing what the build needs${missing[*]:+ and }${missing[*]%\?}"
  as_root+=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300)
  quietly "Is the network there?" "${as_root[@]}" update
  quietly "Is the network there, and may this user install packages?" "${as_root[@]}" "${build_dep[@]}"
  find_known # by the lists that have just come
  [ ${#known[@]} -eq 0 ] || quietly "Is the network there, and may this user install packages?" \
    "${as_root[@]}" install --no-install-recommends "${known[@]}"
}

# set_up FOLDER [MESON OPTION ...]: makes a build folder, once.
set_up() {
  local folder=$1
  shift
  [ ! -e "$folder/build.ninja" ] || return 0
  say "$folder: setting up"
  quietly "What is missing? docs/dependencies.md lists all." meson setup "$folder" "$@"
}

# build FOLDER [MESON OPTION ...]: sets the folder up, then compiles what has changed of `targets`, else of everything. On a
# terminal ninja counts the steps.
build() {
  local folder=$1 hint="If the folder is of an older state, remove $1 and call again."
  set_up "$@"
  say "$folder: compiling what has changed"
  # shellcheck disable=SC2086  # targets are words
  if [ -t 1 ]; then
    ninja -C "$folder" ${targets:-all} || fail "it does not compile: the lines above say why. $hint"
  else
    quietly "$hint" ninja -C "$folder" ${targets:-all}
  fi
}
