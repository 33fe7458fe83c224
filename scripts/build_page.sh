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
    bundle=(--bundle --minify --target=es2022 --format=esm "--define:process.env.NODE_ENV=\"production\"" --legal-comments=none --log-level=warning)
    shared=(--alias:higlass=./higlass.js --alias:pixi.js=./higlass.js --external:./higlass.js)
    npx esbuild higlass.js "${bundle[@]}" --outfile=out/higlass.js
    # beside higlass.js, so that they name it as it is named where they are served
    npx esbuild src/main.js "${bundle[@]}" "${shared[@]}" --outfile=page.js
    npx esbuild notebook/main.js "${bundle[@]}" "${shared[@]}" --loader:.css=text --outfile=notebook.js
    mv page.js notebook.js out/
    # what only those who save a PDF load; jsPDF would load the others for what is not asked of it
    npx esbuild src/pdf.js "${bundle[@]}" --external:html2canvas --external:dompurify --external:canvg --outfile=out/pdf.js
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
