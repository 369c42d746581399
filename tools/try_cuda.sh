#!/usr/bin/env bash
# Try training on the CUDA GPUs of this machine, in about five minutes:
#
#     tools/try_cuda.sh                 with .venv/bin/python, which `make train` installs
#     tools/try_cuda.sh PYTHON          with another Python that has the extra `train`
#
# 1. ten steps in fp32 have the losses of the CPU;
# 2. a run that is killed and resumed ends with the weights of one in one go;
# 3. a process on each GPU gives the losses of one process (skipped if there is one GPU);
# 4. training speed, compared with transformers' Trainer.
#
# Status 0: all right. 1: a check failed. 2: it cannot be run here. Runs stay in out/try-cuda-*.
# The project was developed without a GPU: THIS SCRIPT HAS NEVER GONE BEYOND THE SENTENCE THAT THERE IS NONE.
set -euo pipefail
cd "$(dirname "$0")/.."

give_up() {
    echo "error: $1" >&2
    exit 2
}

[ $# -le 1 ] || give_up "tools/try_cuda.sh takes one argument, a Python. Omit the others."
python=${1:-.venv/bin/python}
command -v "$python" >/dev/null || give_up "There is no $python. Run make train, or give a Python."
"$python" -c "import accelerate, datasets, torch, transformers" 2>/dev/null ||
    give_up "$python lacks the extra train. Run make train."
gpus=$("$python" -c "import torch; print(torch.cuda.device_count() if torch.cuda.is_available() else 0)")
[ "$gpus" -gt 0 ] || give_up "PyTorch finds no CUDA GPU here. Run this on a machine that has one."

out=out/try-cuda-$(date +%Y%m%d-%H%M%S)
mkdir -p "$out"
status=0
common=(train.py --config configs/smoke.yaml --quiet precision=fp32 log_every=1 eval_every=1000000 "out_dir=$out")

# compare NAME NAME LIMIT WHAT: the losses of two runs differ by at most LIMIT nats.
compare() {
    "$python" - "$out/$1/log.jsonl" "$out/$2/log.jsonl" "$3" "$4" <<'PYTHON' || status=1
import json, sys

one, two = ({line["step"]: line["loss"] for line in map(json.loads, open(path)) if line["kind"] == "train"} for path in sys.argv[1:3])
worst = max(abs(one[step] - two[step]) for step in one) if one.keys() == two.keys() else float("inf")
is_right = worst <= float(sys.argv[3])
print(f"{'right' if is_right else 'WRONG'}   {sys.argv[4]}: losses of {len(one)} steps differ by at most {worst:.2g} nats")
sys.exit(not is_right)
PYTHON
}

# distance NAME NAME: the largest difference between the weights and optimizer states of two runs.
distance() {
    "$python" - "$out/$1" "$out/$2" <<'PYTHON'
import sys
from safetensors.torch import load_file

one, two = (load_file(f"{run}/last/training_state.safetensors") for run in sys.argv[1:])
print(max(float((one[name].double() - two[name].double()).abs().max()) for name in one))
PYTHON
}

"$python" "${common[@]}" max_steps=10 name=cpu --device cpu
"$python" "${common[@]}" max_steps=10 name=cuda --device cuda
compare cpu cuda 0.01 "GPU and CPU"

long=("${common[@]}" max_steps=600 save_every=100 --device cuda)
"$python" "${long[@]}" name=whole
"$python" "${long[@]}" name=again
"$python" "${long[@]}" name=cut &
until grep -qs '"step": 250,' "$out/cut/log.jsonl"; do
    kill -0 $! || give_up "A run ended early. Read what it printed above."
    sleep 0.05
done
kill -9 $!
wait $! || true
"$python" train.py --resume "$out/cut" --quiet --device cuda
repeated=$(distance whole again) resumed=$(distance whole cut)
if [ "$resumed" = 0.0 ]; then
    echo "right   a killed and resumed run: bit for bit that of one in one go"
elif [ "$repeated" != 0.0 ]; then
    echo "unclear a resumed run differs by $resumed, but two equal runs in one go by $repeated: kernels are not deterministic"
else
    echo "WRONG   a resumed run differs by $resumed; two equal runs in one go do not differ"
    status=1
fi

if [ "$gpus" -gt 1 ]; then
    shared=("${common[@]}" max_steps=10 "data.micro_batches=$gpus" data.batch_tokens=500)
    "$python" "${shared[@]}" name=one --device cuda
    "$python" -m torch.distributed.run --nproc-per-node "$gpus" "${shared[@]}" name=all
    compare one all 0.01 "one process and $gpus"
else
    echo "skipped one process for each GPU: there is one GPU"
fi

"$python" benchmarks/train.py --device cuda --steps 10 data.batch_tokens=30000
"$python" benchmarks/train.py --device cuda --steps 10 data.batch_tokens=30000 compile=true
exit "$status"
