#!/bin/sh
# One program for any Linux on x86-64 with a C library as new as this machine's or newer: make_tarball.sh BUILD VERSION SECONDS. `make tarball` has linked
# BUILD/static/starchat. Packs it with manual pages, completions, documents and modules for MPI; the same source gives the same bytes.
set -eu
cd "$(dirname "$0")/.."
build=$1 version=$2 seconds=$3
name=starchat-$version-linux-x86_64
stage=$build/static/stage
rm -rf "$stage"
mkdir -p "$stage"
BUILD=$build PROGRAM=$build/static/starchat DESTDIR=$stage PREFIX=/$name ZSHDIR=/$name/share/zsh/site-functions VERSION=$version tools/install.sh program
strip "$stage/$name/bin/starchat"
for module in "$stage/$name"/lib/starchat/*.so; do [ ! -f "$module" ] || strip --strip-unneeded "$module"; done
# What is linked into it, with its terms.
mkdir "$stage/$name/share/doc/starchat/licences"
for package in libjansson-dev libpcre2-dev libutf8proc-dev libssl-dev zlib1g-dev libzstd-dev liblz4-dev libyaml-dev libevent-dev libsqlite3-dev libseccomp-dev libxxhash-dev $([ "${READLINE:-1}" = 0 ] || echo libreadline-dev libncurses-dev) libcurl4-openssl-dev; do
    install -m 644 "$(realpath "/usr/share/doc/$package/copyright")" "$stage/$name/share/doc/starchat/licences/${package%-dev}"
done
install -m 644 debian/copyright "$stage/$name/share/doc/starchat/licences/starchat"          # the page's parts too
tar -C "$stage" --sort=name --mtime="@$seconds" --owner=0 --group=0 --numeric-owner --mode=go=rX,u+rw -cf - "$name" | gzip -9n >"$build/$name.tar.gz"
libc=$(objdump -T "$build/static/starchat" | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -n 1)
echo "$build/$name.tar.gz: $(wc -c <"$build/$name.tar.gz") bytes; program $(wc -c <"$stage/$name/bin/starchat") bytes; C library ${libc#GLIBC_} or later; needs $(objdump -p "$stage/$name/bin/starchat" | awk '/NEEDED/ { printf "%s ", $2 }')"
