#!/bin/sh
# Makes a Python environment with the peers that gram is measured against: PyTorch (SDPA, FlexAttention, eager) and
# onnxruntime. Usage: setup.sh DIR; then . DIR/env.sh. Nothing is done where DIR has it already.
set -e
dir=${1:?usage: setup.sh DIR}
[ -f "$dir/env.sh" ] && exit 0
python3 -m venv "$dir"
pip() { "$dir/bin/pip" -q --disable-pip-version-check "$@"; }
pip install numpy onnxruntime onnx 'setuptools<81' filelock sympy networkx jinja2 fsspec typing_extensions
pip install --no-deps torch
# PyTorch's wheel from PyPI links the CUDA runtime's libraries even where it computes on the CPU.
libs=
if ! "$dir/bin/python" -c 'import torch' 2>/dev/null; then
    pip install --no-deps nvidia-cufile nvidia-cusparselt-cu13 nvidia-nvshmem-cu13 nvidia-cudnn-cu13 nvidia-nccl-cu13 \
        nvidia-cublas nvidia-cuda-runtime nvidia-cuda-cupti nvidia-cufft nvidia-curand nvidia-cusolver nvidia-cusparse \
        nvidia-nvjitlink nvidia-cuda-nvrtc
    libs=$(find "$dir" -path '*nvidia*' -name lib -type d | tr '\n' ':')
fi
printf '. "%s/bin/activate"\nexport LD_LIBRARY_PATH="%s${LD_LIBRARY_PATH:-}"\n' "$dir" "$libs" > "$dir/env.sh"
. "$dir/env.sh"
python -c 'import torch, onnxruntime; print("torch", torch.__version__, "onnxruntime", onnxruntime.__version__)'
