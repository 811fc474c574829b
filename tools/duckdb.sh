#!/bin/sh
# Fetches DuckDB's C library (for Parquet and CSV data sets) from npm into ~/.local/lib, where starchat looks for it.
set -eu
package=@duckdb/node-bindings-linux-x64@1.5.6-r.1 digest=1b9f82478539bb9a1d1df44bd103121a12ae52142c07158dc52b97d2ec1d69ff
command -v npm >/dev/null || { echo "duckdb.sh: npm is needed to fetch DuckDB's library:  apt-get install npm" >&2; exit 1; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
echo "duckdb.sh: fetching $package" >&2
archive=$scratch/$(cd "$scratch" && npm pack --silent "$package")
echo "$digest  $archive" | sha256sum --check --quiet
mkdir -p "$HOME/.local/lib"
tar -xzf "$archive" -C "$scratch" package/libduckdb.so
mv "$scratch/package/libduckdb.so" "$HOME/.local/lib/libduckdb.so"
echo "duckdb.sh: $HOME/.local/lib/libduckdb.so" >&2
