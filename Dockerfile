# Two images: the operator (no TensorFlow, nothing of the trainer) and the trainer, which every step of the pipelines runs in.
# `make image` makes both; `make image-check` makes them, looks into them and runs them as a restricted pod would.
#
# BASE is where a digest belongs: BASE=python:3.11-slim-bookworm@sha256:… (`make image` prints the one it built on). None is
# written here, because nobody has compared one with its registry yet. Of the base this file needs Python with its modules
# venv and pip, and the programs of a Debian; its Python is the one that the tests run on.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS base
# A number, so that Kubernetes can see that it is not root; the name is for what asks for it (kopf does).
RUN useradd --uid 65532 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin nonroot
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PATH=/venv/bin:${PATH} PYTHONPATH=/app USER=nonroot HOME=/tmp

# Packages come at the pinned versions and checksums of requirements/, from the index that pip is set to. Where that is not the
# public one, hand over a pip.conf, and its certificates where it names /etc/pip-ca.pem: --secret id=pip,src=pip.conf
# --secret id=ca,src=ca.pem (`make image ARGS="--pip-conf … --pip-ca …"`). Neither gets into an image.
# All are finished wheels but for kfp-server-api, which is built here, with pinned tools, before the venv is made.
FROM base AS tools
COPY requirements/build.txt /build.txt
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca,target=/etc/pip-ca.pem \
    python3 -m venv /tools && \
    /tools/bin/pip install --no-cache-dir --no-deps --only-binary=:all: --require-hashes -r /build.txt
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

FROM tools AS operator-packages
COPY requirements/operator.txt /requirements.txt
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca,target=/etc/pip-ca.pem \
    /tools/bin/pip wheel --no-deps --only-binary=:all: --no-binary=kfp-server-api --no-build-isolation --require-hashes \
      --wheel-dir /wheels -r /requirements.txt && \
    python3 -m venv --without-pip /venv && \
    /tools/bin/pip --python /venv/bin/python3 install --no-index --no-deps /wheels/*

FROM base AS operator
COPY --from=operator-packages /venv /venv
COPY operator/trainandserve /app/trainandserve
# Readable to anybody, whatever the modes in the checkout; compiled now, because later nothing can be written.
RUN chmod -R a=rX /app && python3 -m compileall -q /app
WORKDIR /tmp
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["python3", "-m", "trainandserve"]
CMD ["run"]

# With pip: the train step installs spec.training.packages, into a folder of its own.
FROM tools AS trainer-packages
COPY requirements/trainer.txt /requirements.txt
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca,target=/etc/pip-ca.pem \
    /tools/bin/pip wheel --no-deps --only-binary=:all: --no-binary=kfp-server-api --no-build-isolation --require-hashes \
      --wheel-dir /wheels -r /requirements.txt && \
    python3 -m venv /venv && \
    /tools/bin/pip --python /venv/bin/python3 install --no-index --no-deps /wheels/*

FROM base AS trainer
COPY --from=trainer-packages /venv /venv
COPY trainer /app/trainer
RUN chmod -R a=rX /app && python3 -m compileall -q /app
ENV TF_CPP_MIN_LOG_LEVEL=2
WORKDIR /tmp
USER 65532:65532
# KFP starts each step by a command of its own; this one is for a look by hand.
CMD ["python3", "-m", "trainer", "--help"]
