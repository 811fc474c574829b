#!/bin/sh
# Prints a C file with the files of a page, packed by gzip: embed_page.sh DIRECTORY [NAME]; NAME: of the array, page_files. Names of assets hold a hash of what is in them.
set -eu
name=${2:-page_files}
cd "$1"
files=$(find . -type f | LC_ALL=C sort)
echo '#include "serve/page.h"'
i=0
for f in $files; do
    echo "static const unsigned char file$i[] = {"
    gzip -9nc "$f" | od -An -v -tu1 | sed 's/[0-9][0-9]*/&,/g'
    echo '};'
    i=$((i + 1))
done
echo "const struct page_file $name[] = {"
i=0
for f in $files; do
    case $f in
    *.html) type='text/html; charset=utf-8' ;;
    *.js) type='text/javascript; charset=utf-8' ;;
    *.css) type='text/css; charset=utf-8' ;;
    *.svg) type='image/svg+xml' ;;
    *.webmanifest) type='application/manifest+json' ;;
    *.woff2) type='font/woff2' ;;
    *) echo "embed_page.sh: $f is of no known type" >&2; exit 1 ;;
    esac
    echo "    { \"${f#.}\", \"$type\", \"$(sha256sum <"$f" | cut -c1-32)\", file$i, sizeof file$i, $(wc -c <"$f") },"
    i=$((i + 1))
done
echo '    { NULL, NULL, NULL, NULL, 0, 0 },'
echo '};'
