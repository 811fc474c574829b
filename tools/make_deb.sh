#!/bin/sh
# Builds the Debian packages in a copy of the source tree, so that nothing outside build/ is written: build/deb/*.deb. The same source gives
# the same bytes wherever and whenever it is built; dates are those of debian/changelog. lintian judges the result where it is installed.
# DEB_DIRECTORY chooses another directory than build/deb.
set -eu
cd "$(dirname "$0")/.."
tools/setup.sh deb
version=$(dpkg-parsechangelog -S Version)
to=${DEB_DIRECTORY:-build/deb}
rm -rf "$to"
mkdir -p "$to/starchat-$version"
tools/source_files.sh | tar -cf - --null -T - | tar -xf - -C "$to/starchat-$version"
(cd "$to/starchat-$version" && dpkg-buildpackage -b -us -uc) >"$to/log" 2>&1 || { tail -n 40 "$to/log" >&2; echo "make deb: failed; all of it is in $to/log" >&2; exit 1; }
if command -v lintian >/dev/null; then lintian --allow-root --fail-on error,warning "$to"/*.changes; else echo "make deb: not judged, since lintian is not installed" >&2; fi
rm -rf "$to/starchat-$version"
ls "$to"/*.deb
