#!/usr/bin/env bash
# Build the page of `orca-cool serve` and what notebooks load from higlass_plugin/page into higlass_plugin/static. Needs Node 20 or newer, and npm's registry.
# The result is committed; SHA256SUMS holds the sums of sources and results, so a stale bundle is noticed without Node (tests/higlass_plugin/test_page.py).
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."
page=higlass_plugin/page static=higlass_plugin/static
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cp -R "$page/." "$work"
(
    cd "$work"
    npm ci --no-audit --no-fund --loglevel=error
    bundle=(--bundle --minify --target=es2022 "--define:process.env.NODE_ENV=\"production\"" --legal-comments=none --log-level=warning)
    npx esbuild src/main.js "${bundle[@]}" --format=iife --outfile=out/page.js
    npx esbuild src/theme.js "${bundle[@]}" --format=iife --outfile=out/theme.js
    npx esbuild notebook/main.js "${bundle[@]}" --format=esm --loader:.css=text --outfile=out/notebook.js
    cp src/index.html src/page.css out/
    cp notebook/loader.js out/notebook-loader.js
    node licences.mjs > out/THIRD_PARTY_LICENSES.txt
)
mkdir -p "$static"
for file in "$work"/out/*; do
    cp "$file" "$static/.partial"
    mv "$static/.partial" "$static/$(basename "$file")"
done
sha256sum scripts/build_page.sh "$page"/*.* "$page"/src/* "$page"/notebook/* "$static"/*.* | grep -v 'SHA256SUMS' > "$work/SHA256SUMS"
cp "$work/SHA256SUMS" "$static/.partial"
mv "$static/.partial" "$static/SHA256SUMS"
