#!/usr/bin/env bash
# Prints the target the helpers are built for: static on musl, since that starts
# several times faster, or the host's own where musl cannot be had.
set -euo pipefail

host=$(rustc -vV | sed -n 's/^host: //p')
musl=${host%%-*}-unknown-linux-musl
has_musl() { [ -d "$(rustc --print target-libdir --target "$musl" 2>/dev/null)" ]; }

if ! has_musl && command -v rustup >/dev/null; then
  echo "adding the Rust target $musl" >&2
  rustup target add "$musl" >&2 || true
fi
if has_musl; then
  echo "$musl"
else
  echo "no Rust target $musl here: the helpers are built for $host and start more slowly" >&2
  echo "$host"
fi
