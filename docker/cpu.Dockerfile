# The embedded run on a CPU, without a GPU: `make train` in a container. It needs two cores and 16 GB of memory.
#
#   docker build -f docker/cpu.Dockerfile -t rewardmap-verl:cpu .
#   docker run --shm-size=2g -v "$PWD/runs:/opt/rewardmap-verl/runs" rewardmap-verl:cpu
FROM python:3.12-slim-bookworm

SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# numactl's library and tcmalloc are used by vLLM's CPU build, the compiler by torch.compile.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ libnuma1 libtcmalloc-minimal4 make \
    && rm -rf /var/lib/apt/lists/*
# hadolint ignore=DL3013
RUN pip install --no-cache-dir uv

WORKDIR /opt/rewardmap-verl
COPY . .
RUN make install EXTRAS=cpu

ENV PATH=/opt/rewardmap-verl/.venv/bin:$PATH
CMD ["make", "train"]
