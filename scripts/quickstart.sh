#!/usr/bin/env bash
# From a bare machine to a predicted map: bash scripts/quickstart.sh
# Needs Python 3.11 to 3.13. Runs again at any time; what is installed already is kept.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/install.sh serve,variants,perturb

oc=.venv/bin/orca-cool
out=quickstart
mkdir -p "$out"

echo
echo "== 1. Predict yeast chromosomes I and II, which the model never saw, from their sequence alone"
# A file that is there is whole (it is renamed at the end) and is made anew; a run that was killed goes on.
force=()
[ -e "$out/example.mcool" ] && force=(--force)
time "$oc" predict --model yeast-metaphase --genome example -o "$out/example.mcool" ${force[@]+"${force[@]}"}

echo
echo "== 2. Check the file, and hear what it is good for"
"$oc" check "$out/example.mcool"

echo
echo "== 3. Draw the prediction above the diagonal, a measured map below it"
"$oc" plot "$out/example.mcool" --observed orca_cool/data/maps/yeast.10kb.mcool --region chrII -o "$out/chrII.png" --force

cat <<END

Done.
  $out/example.mcool             the predicted map, every resolution: cooler, cooltools and HiGlass read it
  $out/example.expected.*.tsv    expected by distance for cooltools: log(observed/expected) is the model's prediction
  $out/chrII.png                 the picture

Next:
  source .venv/bin/activate
  orca-cool --help
  orca-cool models list
  orca-cool serve --model yeast-metaphase --genome example --with orca_cool/data/maps/yeast.10kb.mcool
  orca-cool predict --model yeast-metaphase --genome YOUR.fa -o out.mcool chrII:100,000-400,000
  python -c 'import orca_cool as oc; help(oc.Predictor)'        (docs/python.md: a working day in Python)
  cooler ls $out/example.mcool
  cooltools insulation $out/example.mcool::resolutions/4000 40000 -o $out/insulation.tsv
END
