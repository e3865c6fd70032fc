#!/usr/bin/env bash
# Writes include/tenflowers.h from the C front end; with --check compares it with the one that is there.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.29.4
tools=target/tools
header=include/tenflowers.h

if [[ "$("$tools/bin/cbindgen" --version 2>/dev/null || true)" != "cbindgen $version" ]]; then
    cargo install --quiet --debug --locked --root "$tools" --version "=$version" cbindgen
fi

generate() {
    "$tools/bin/cbindgen" --quiet --config crates/tenflowers-ffi/cbindgen.toml --output "$1" crates/tenflowers-ffi
}

if [[ "${1:-}" == --check ]]; then
    generate target/tenflowers.h
    if ! diff -u "$header" target/tenflowers.h; then
        echo "$header is out of date: run 'make header'" >&2
        exit 1
    fi
elif [[ $# -eq 0 ]]; then
    generate "$header"
else
    echo "usage: scripts/header.sh [--check]" >&2
    exit 2
fi
