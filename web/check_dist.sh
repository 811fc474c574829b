#!/usr/bin/env bash
# Rebuilds the page from the locked packages in a fresh folder and compares it with web/dist, byte for byte. Also looks for what
# must not be in it: ways from a string to markup or code, and addresses of other machines.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r package.json package-lock.json .npmrc tsconfig.json vite.config.ts index.html src public tests "$work/"
(cd "$work" && PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --no-audit --no-fund --silent && npm run --silent build >/dev/null)
failed=0
diff -r dist "$work/dist" || { echo "web/dist is not what its sources build: run 'npm ci && npm run build' and commit" >&2; failed=1; }
if grep -rlE 'innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|new Function\(|[^a-zA-Z_.]eval\(' dist src; then
    echo "the files above hold a way from a string to markup or code" >&2; failed=1
fi
if grep -rnE ' style="| on[a-z]+="|<script>|<style' dist/index.html; then
    echo "the lines above are refused by the page's own policy" >&2; failed=1
fi
if grep -q '"resolved"' package-lock.json; then echo "package-lock.json names a registry" >&2; failed=1; fi
limit=102400 # gzip'ed, without the chunks that are loaded with the first code block or formula
size=$(for f in dist/index.html dist/assets/index-*.js dist/assets/index-*.css dist/assets/base-*.js dist/assets/rolldown-runtime-*.js; do gzip -9c "$f" | wc -c; done | awk '{ n += $1 } END { print n }')
echo "start of the page: $size bytes gzip'ed (limit $limit)"
[ "$size" -le "$limit" ] || failed=1
if [ "$failed" = 0 ]; then echo "1 passed, 0 failed"; else echo "0 passed, 1 failed"; exit 1; fi
