# Shared by the scripts of this folder; not a program. Says what happens, installs what is missing.

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
die() { printf '\033[1;31merror:\033[0m %s\n' "$*" >&2; exit 1; }

# need_packages COMMAND=PACKAGE ...: installs the Debian packages of commands (or, as `path:FILE=PACKAGE`, files) that are missing.
need_packages() {
  local missing=() want have
  for pair in "$@"; do
    want=${pair%%=*} have=no
    case $want in
      path:*) [ -e "${want#path:}" ] && have=yes ;;
      *) command -v "$want" >/dev/null 2>&1 && have=yes ;;
    esac
    [ $have = yes ] || missing+=("${pair#*=}")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then as_root=(sudo -n)
    else die "missing Debian packages. Run: sudo apt-get update && sudo apt-get install -y ${missing[*]}"; fi
  fi
  say "installing Debian packages: ${missing[*]}"
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive sh -c 'apt-get update -qq && apt-get install -y -qq "$@" >/dev/null' sh "${missing[@]}" \
    || die "could not install ${missing[*]}. Run: sudo apt-get update && sudo apt-get install -y ${missing[*]}"
}

# need_build: what builds Sockeye, with SQLite and librdkafka.
need_build() {
  need_rust
  need_packages cc=gcc c++=g++ make=make cmake=cmake pkg-config=pkg-config path:/usr/include/openssl/ssl.h=libssl-dev
}

# need_rust: a Rust toolchain, at least the version that Cargo.toml names.
need_rust() {
  local need have
  need=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  command -v cargo >/dev/null 2>&1 || die "no Rust toolchain: install $need or later with rustup (https://rustup.rs)"
  have=$(rustc --version 2>/dev/null | awk '{ print $2 }') || have=
  if [ "$(printf '%s\n' "$need" "${have%%-*}" | sort --version-sort | head -n 1)" != "$need" ]; then
    if command -v rustup >/dev/null 2>&1; then die "Sockeye needs Rust $need or later, here is ${have:-no rustc}. Run: rustup update stable && rustup default stable"
    else die "Sockeye needs Rust $need or later, here is ${have:-no rustc}: install one with rustup (https://rustup.rs)"; fi
  fi
}
