# shellcheck shell=bash
# Sourced by ./quickstart and ./test: what is needed from Debian, and how it gets there.

build_packages=(
    ca-certificates ccache cmake g++ ninja-build pkg-config
    libboost1.81-dev libcli11-dev libcrypt-dev libcurl4-openssl-dev libfmt-dev libmariadb-dev libpugixml-dev libsqlite3-dev libssl-dev
    libtomlplusplus-dev libzstd-dev nlohmann-json3-dev zlib1g-dev
)
# Python makes the sample and compares what comes back; the server is the sample application's.
quickstart_packages=(mariadb-client mariadb-server python3)
test_packages=(
    libgmock-dev libgtest-dev librapidcheck-dev # unit tests
    clang-14 clang-format-14 libclang-rt-14-dev       # fuzzing, house rules
    libbenchmark-dev                                  # so that benchmarks keep building
    mariadb-backup mariadb-client mariadb-server      # the databases of the tests
    acl attr openssh-client openssh-server restic     # real peers, and what tests look with
    ceph-mon ceph-osd radosgw                         # a real S3 server
    git mount procps python3 rsync tzdata util-linux
)

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# What starts with the machine, sorted; nothing where there is no systemd.
enabled_units() {
    command -v systemctl >/dev/null || return 0
    systemctl list-unit-files --state=enabled --no-legend 2>/dev/null | cut -d' ' -f1 | LC_ALL=C sort
}

# Installs what is missing of the packages named. Starts no service, and leaves none enabled that
# was not there before.
install_packages() (
    missing=()
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
            missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
        echo "error: installing packages needs root" >&2
        echo "hint: run this as root, or install these first: ${missing[*]}" >&2
        return 1
    fi
    echo "installing ${#missing[@]} Debian packages: ${missing[*]}"
    guard=/usr/sbin/policy-rc.d # Debian's own switch: exit code 101 is "start no service now"
    if [ ! -e "$guard" ]; then
        trap 'as_root rm -f "$guard"' EXIT
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$guard" >/dev/null
        as_root chmod 755 "$guard"
    fi
    enabled_before=$(enabled_units)
    log=$(mktemp)
    if ! { as_root apt-get -qq -o DPkg::Lock::Timeout=300 update &&
        as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 LC_ALL=C.UTF-8 \
            apt-get -qq -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
            install --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        echo "error: apt-get could not install the packages" >&2
        return 1
    fi
    rm -f "$log"
    for unit in $(LC_ALL=C comm -13 <(echo "$enabled_before") <(enabled_units)); do
        as_root systemctl disable --quiet "$unit" 2>/dev/null || true
    done
)
