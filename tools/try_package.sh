#!/bin/bash
# The packages as somebody meets them for the first time, as root: a fresh Debian 12 in a temporary directory, apt installs what `make deb` built, then an
# ordinary user asks doctor, pulls a model, chats and trains ten steps; then everything is removed and purged, and what is left is listed: nothing.
#   tools/try_package.sh deb        the packages in build/deb (or DEB_DIRECTORY)
#   tools/try_package.sh tarball    build/starchat-*.tar.gz in a fresh system without any packages
#   tools/try_package.sh source     the README's two commands; TRY_SECONDS for the tests of `make test` to begin with
# TRY_CACHE: a directory that keeps the bare system and fetched packages from one call to the next. Mirrors and certificates are this machine's.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo "try_package: must be root, for debootstrap and chroot" >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "try_package: debootstrap is missing:  apt-get install debootstrap" >&2; exit 1; }
scratch=$(mktemp -d)
cache=${TRY_CACHE:-$scratch/cache}
root=$scratch/root
mounted=
leave() {
    for at in $mounted; do umount -l "$at" || { echo "try_package: $at is still mounted; $scratch stays" >&2; return; }; done
    rm -rf --one-file-system "$scratch"
}
trap leave EXIT
mkdir -p "$root" "$cache/debs/partial"
certificates=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}

mirror() { # the first address that apt is configured with
    { cat /etc/apt/sources.list.d/*.sources | sed -n 's/^URIs: *//p'; sed -n 's/^deb \(\[[^]]*\] \)\?\([^ ]*\).*/\2/p' /etc/apt/sources.list; } 2>/dev/null | head -n 1
}
join() { # FROM TO: what the fresh system sees of this one
    mkdir -p "$root$2"
    mount --bind "$1" "$root$2"
    mounted="$root$2 $mounted"
}
say() { printf '\n== %s\n' "$*"; }
inside() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive CI=true SSL_CERT_FILE=/trial/ca.crt PIP_CERT=/trial/ca.crt "$@"; }
person() { chroot --userspec=1000:1000 "$root" /usr/bin/env -i -C /home/person PATH=/usr/bin:/bin HOME=/home/person LC_ALL=C.UTF-8 SSL_CERT_FILE=/trial/ca.crt PIP_CERT=/trial/ca.crt "$@"; }

fresh() {
    say "a fresh system"
    if [ ! -f "$cache/base.tar" ]; then
        debootstrap --variant=minbase bookworm "$scratch/base" "$(mirror)" >"$scratch/log" 2>&1 || { tail "$scratch/log"; exit 1; }
        tar -C "$scratch/base" -cf "$cache/base.tar.part" . && mv "$cache/base.tar.part" "$cache/base.tar"
        rm -rf --one-file-system "$scratch/base"
    fi
    tar -C "$root" -xf "$cache/base.tar"
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    mkdir -p "$root/trial" "$root/home/person"
    cp "$certificates" "$root/trial/ca.crt"
    cp /etc/pip.conf "$root/etc/pip.conf" 2>/dev/null || true
    echo 'person:x:1000:1000::/home/person:/bin/bash' >>"$root/etc/passwd"
    echo 'person:x:1000:' >>"$root/etc/group"
    chown 1000:1000 "$root/home/person"
    mount -t proc proc "$root/proc" && mounted="$root/proc $mounted"
    mount -t tmpfs tmpfs "$root/tmp" && mounted="$root/tmp $mounted"
    join /dev /dev
    join "$cache/debs" /var/cache/apt/archives
    # With what it is told to keep it fetches nothing twice.
    echo 'APT::Keep-Downloaded-Packages "true"; Binary::apt::APT::Keep-Downloaded-Packages "true";' >"$root/etc/apt/apt.conf.d/90trial"
    inside apt-get update -qq
}

# Every file with its kind, mode, size of what is configuration, target of links. Left out: what is mounted, apt's and dpkg's own records and caches, logs, the person's home;
# and the accounts, where libraries below Open MPI leave a group, as Debian wants it. The packages tried make none, which is looked at by name.
state() {
    (cd "$root" && find . -xdev \( -path ./proc -o -path ./dev -o -path ./tmp -o -path ./trial -o -path ./home -o -path ./var/lib/dpkg -o -path ./var/lib/apt -o -path ./var/cache/apt \
        -o -path ./var/cache/debconf -o -path ./var/cache/ldconfig -o -path ./var/log -o -path ./root -o -path ./run/adduser -o -path './etc/passwd*' -o -path './etc/shadow*' -o -path './etc/group*' -o -path './etc/gshadow*' \) -prune -o \( -path './etc/*' -type f -printf '%p %m %s\n' -o -printf '%p %y %m %l\n' \) ) | LC_ALL=C sort
}

use() { # PROGRAM EXAMPLES: what a person does first
    say "doctor"; person "$1" doctor
    say "pull"; person "$1" pull smollm2:135m-instruct
    say "chat"; person "$1" chat smollm2:135m-instruct -p "Write a Python function that adds two numbers." --max-tokens 60 --seed 1 --no-save
    say "train ten steps"
    person cp -r "$2" /home/person/work
    person env -C /home/person/work "$1" train recipes/demo.yaml max_steps=10 block_size=256 total_train_batch_size=1 evaluation_strategy=no
    say "chat with the result"; person env -C /home/person/work "$1" chat runs/demo -p "How do I list all files?" --max-tokens 40 --seed 1 --no-save
}

try_deb() {
    directory=${DEB_DIRECTORY:-build/deb}
    ls "$directory"/starchat_*.deb >/dev/null || { echo "try_package: no packages in $directory; make deb builds them" >&2; exit 1; }
    fresh
    mkdir "$root/trial/debs"
    cp "$directory"/*.deb "$root/trial/debs/"
    rm -f "$root"/trial/debs/*-dbgsym_*
    mkdir -p -m 700 "$root/var/lib/private"                                        # systemd's, where it runs
    inside dpkg-query -W -f '${Package}\n' | sort >"$scratch/packages"
    state >"$scratch/before"
    say "apt installs starchat"
    inside bash -c 'apt-get install -y /trial/debs/starchat_*.deb'
    use starchat /usr/share/doc/starchat/examples
    say "the service's settings"
    inside starchat serve --config /etc/starchat/serve.yaml --check || echo "status $? (there is no model yet)"
    mkdir "$root/var/lib/private/starchat" && touch "$root/var/lib/private/starchat/keys"         # as the service would have left it
    say "library and modules"
    inside bash -c 'apt-get install -y --no-install-recommends /trial/debs/libstarchat0_*.deb /trial/debs/libstarchat-dev_*.deb /trial/debs/starchat-mpi_*.deb pkg-config'
    inside pkg-config --cflags --libs starchat
    person starchat doctor | grep MPI
    say "remove, purge"
    inside apt-get remove -y -qq starchat libstarchat0 libstarchat-dev starchat-mpi pkg-config >/dev/null
    [ -e "$root/etc/starchat/serve.yaml" ] || { echo "FAILED: remove took the configuration along" >&2; exit 1; }
    # With all that came along: apt itself recommends ca-certificates, so autoremove alone would keep them.
    inside dpkg-query -W -f '${Package}\n' | sort | comm -13 "$scratch/packages" - | xargs -r chroot "$root" apt-get purge -y -qq >/dev/null
    state >"$scratch/after"
    say "what is left"
    if diff "$scratch/before" "$scratch/after" && ! grep starchat "$root"/etc/{passwd,group}; then echo "nothing"; else echo "FAILED: the lines above" >&2; exit 1; fi
}

try_tarball() {
    archives=(build/starchat-*-linux-x86_64.tar.gz)
    [ -f "${archives[0]}" ] || { echo "try_package: no tarball in build; make tarball builds it" >&2; exit 1; }
    fresh
    mkdir "$root/opt/starchat"
    tar -xzf "${archives[0]}" -C "$root/opt/starchat" --strip-components=1
    say "what it needs"; inside ldd /opt/starchat/bin/starchat
    use /opt/starchat/bin/starchat /opt/starchat/share/doc/starchat/examples
}

# `make` itself is what a bare system lacks besides.
try_source() {
    fresh
    inside apt-get install -y -qq --no-install-recommends make >/dev/null
    mkdir "$root/home/person/starchat"
    { git ls-files -z 2>/dev/null || find . -type f ! -path './build/*' -printf '%P\0'; } | tar -cf - --null -T - | tar -xf - -C "$root/home/person/starchat"
    say "make demo, with ${DEMO_STEPS:-10} steps"
    inside env -C /home/person/starchat DEMO_STEPS="${DEMO_STEPS:-10}" DEMO_TOKENS="${DEMO_TOKENS:-40}" make demo
    say "make test, for ${TRY_SECONDS:-1200} seconds"
    inside env -C /home/person/starchat timeout -k 30 "${TRY_SECONDS:-1200}" make test || [ $? = 124 ]
}

case ${1:-} in
deb | tarball | source) "try_$1" ;;
*) echo "usage: tools/try_package.sh deb|tarball|source" >&2; exit 2 ;;
esac
say "$1: done"
