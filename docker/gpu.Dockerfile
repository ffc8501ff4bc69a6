# rewardmap-verl on NVIDIA GPUs, on verl's image: CUDA 13.0, Python 3.12, torch 2.11, vLLM 0.24 and flash-attn 2.8.3. The
# driver must be 580.65.06 or newer.
#
#   docker build -f docker/gpu.Dockerfile -t rewardmap-verl:gpu .
#   docker run --gpus all --ipc=host --shm-size=32g -v "$PWD/data:/data" -it rewardmap-verl:gpu
#   rewardmap doctor
FROM verlai/verl:vllm024.latest

SHELL ["/bin/bash", "-o", "pipefail", "-c"]
WORKDIR /opt/rewardmap-verl
COPY . .

# The image has another transformers and an older TransferQueue. Its torch, vLLM and flash-attn stay: they satisfy [gpu].
# hadolint ignore=DL3013
RUN python3 -m pip install --no-cache-dir '.[gpu]' \
    && python3 -c 'import flash_attn, torch, vllm; assert torch.__version__.startswith("2.11.0")'

WORKDIR /workspace
CMD ["bash"]
