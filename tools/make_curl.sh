#!/bin/sh
# A libcurl.a with HTTP and TLS alone, for `make tarball`: Debian's is made with Kerberos and LDAP, of which Debian has no static libraries. From
# Debian's own source package, fetched by apt from where the system fetches its packages, signatures checked. Usage: make_curl.sh DIRECTORY
set -eu
to=$(mkdir -p "$1" && cd "$1" && pwd)
[ ! -f "$to/libcurl.a" ] || exit 0
mkdir -p "$to/apt/lists/partial" "$to/apt/cache/archives/partial" "$to/apt/sources.d" "$to/source"
# The configured sources, for source packages.
for file in /etc/apt/sources.list.d/*.sources; do [ ! -f "$file" ] || sed 's/^Types:.*/Types: deb-src/' "$file" >"$to/apt/sources.d/$(basename "$file")"; done
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do [ ! -f "$file" ] || sed -n 's/^deb /deb-src /p' "$file" >"$to/apt/sources.d/$(basename "$file" .list).list"; done
apt="-o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts=$to/apt/sources.d -o Dir::State::Lists=$to/apt/lists -o Dir::Cache=$to/apt/cache -o APT::Sandbox::User="
version=$(dpkg-query -W -f='${source:Version}' libcurl4-openssl-dev)
apt-get $apt update -qq
(cd "$to/source" && apt-get $apt source -qq --download-only "curl=$version" && dpkg-source --no-check -x curl_*.dsc curl >/dev/null)
cd "$to/source/curl"
./configure --quiet --disable-shared --enable-static --with-pic --with-openssl --with-zlib --with-ca-bundle=/etc/ssl/certs/ca-certificates.crt --without-ca-path \
    --without-nghttp2 --without-libpsl --without-brotli --without-zstd --without-libidn2 --without-librtmp --without-libssh2 --without-gssapi \
    --disable-ldap --disable-ldaps --disable-ftp --disable-rtsp --disable-dict --disable-telnet --disable-tftp --disable-pop3 --disable-imap --disable-smb \
    --disable-smtp --disable-gopher --disable-mqtt --disable-manual --disable-ntlm CFLAGS="-O2 -ffile-prefix-map=$to=." >"$to/log" 2>&1
make -C lib >>"$to/log" 2>&1
cp lib/.libs/libcurl.a "$to/libcurl.a"
