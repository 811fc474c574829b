#!/bin/sh
# Puts what is built below $DESTDIR, or removes it: install.sh install|uninstall|program. `make install` sets the variables: BUILD, DESTDIR, PREFIX,
# LIBDIR, SYSCONFDIR, UNITDIR, ZSHDIR, VERSION, SONAME, PRIVATE (what the static library needs besides itself); PROGRAM where it
# is not BUILD/starchat. `program`: without library and service, for one directory of its own.
set -eu
cd "$(dirname "$0")/.."
program=${PROGRAM:-$BUILD/starchat}
put() { # MODE TO FROM...: into the directory TO
    mode=$1 to=$DESTDIR$2
    shift 2
    install -d "$to"
    install -m "$mode" "$@" "$to/"
}
write() { # TO: what comes on the standard input
    install -d "$DESTDIR$(dirname "$1")"
    cat >"$DESTDIR$1"
    chmod 644 "$DESTDIR$1"
}
places() { # the same text for wherever it is installed
    sed -e "s|@PREFIX@|$PREFIX|g; s|@LIBDIR@|$LIBDIR|g; s|@SYSCONFDIR@|$SYSCONFDIR|g; s|@VERSION@|$VERSION|g; s|@PRIVATE@|$PRIVATE|g" "$1"
}
names() { "$program" help "$@" | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'; }
manual() { # PAGE COMMAND...
    page=$1
    shift
    "$program" help --man "$@" | write "$PREFIX/share/man/man1/$page.1"
}

install_program() {
    put 755 "$PREFIX/bin" "$program"
    for module in "$BUILD"/starchat-*.so; do [ ! -f "$module" ] || put 644 "$PREFIX/lib/starchat" "$module"; done
    put 755 "$PREFIX/share/starchat" tools/duckdb.sh
    manual starchat
    for command in $(names); do
        manual "starchat-$command" "$command"
        for part in $(names "$command"); do manual "starchat-$command-$part" "$command" "$part"; done
    done
    "$program" completion bash | write "$PREFIX/share/bash-completion/completions/starchat"
    "$program" completion zsh | write "$ZSHDIR/_starchat"
    "$program" completion fish | write "$PREFIX/share/fish/vendor_completions.d/starchat.fish"
}

install_library() {
    put 644 "$LIBDIR" "$BUILD/libstarchat.a" "$BUILD/$SONAME"
    ln -sf "$SONAME" "$DESTDIR$LIBDIR/libstarchat.so"
    put 644 "$PREFIX/include" include/*.h
    places tools/starchat.pc.in | write "$LIBDIR/pkgconfig/starchat.pc"
}

# A configuration that is there stays as it is.
install_service() {
    places deploy/starchat.service | write "$UNITDIR/starchat.service"
    [ -e "$DESTDIR$SYSCONFDIR/starchat/serve.yaml" ] || put 644 "$SYSCONFDIR/starchat" deploy/serve.yaml
}

install_documents() {
    doc=$PREFIX/share/doc/starchat
    put 644 "$doc" README.md ARCHITECTURE.md MODELS.md LICENSE
    put 644 "$doc/docs" docs/*.md
    for directory in recipes prompts data deploy; do
        (cd "$directory" && find . -type f) | LC_ALL=C sort | while read -r file; do
            put 644 "$doc/examples/$directory/$(dirname "$file")" "$directory/$file"
        done
    done
}

install_all() {
    install_program
    install_library
    install_service
    install_documents
}

# What an installation into an empty directory has is what is removed; a configuration that was changed stays.
uninstall_all() {
    from=$DESTDIR
    DESTDIR=$(mktemp -d)
    trap 'rm -rf "$DESTDIR"' EXIT
    install_all
    (cd "$DESTDIR" && find . ! -type d) | while read -r file; do
        file=${file#.}
        case $file in "$SYSCONFDIR"/*) cmp -s "$DESTDIR$file" "$from$file" || continue ;; esac
        rm -f "$from$file"
    done
    # Directories that are ours alone; those of the system are none of our business, empty or not.
    (cd "$DESTDIR" && find . -depth -type d -path '*/starchat*') | while read -r directory; do rmdir "$from${directory#.}" 2>/dev/null || true; done
}

case ${1:-} in
install) install_all ;;
program) install_program && install_documents ;;
uninstall) uninstall_all ;;
*) echo "usage: tools/install.sh install|uninstall|program" >&2; exit 2 ;;
esac
