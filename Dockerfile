# Two images: the operator (no TensorFlow, nothing of the trainer) and the trainer, which every step of the pipelines runs in.
#
#   docker build --target operator -t trainandserve/operator .
#   docker build --target trainer -t trainandserve/trainer .
#
# Packages come at the pinned versions and checksums of requirements/, from the index that pip is set to (build with
# --secret or a pip.conf of your own where that is not the public one).

ARG PYTHON=3.13-slim

FROM python:${PYTHON} AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# A number, so that Kubernetes can see that it is not root; the name is for what asks for it (kopf does).
RUN useradd --uid 65532 --no-create-home --shell /usr/sbin/nologin nonroot
ENV USER=nonroot HOME=/tmp

FROM base AS operator
COPY requirements/operator.txt /tmp/requirements.txt
RUN pip install --require-hashes -r /tmp/requirements.txt && rm /tmp/requirements.txt
COPY operator/trainandserve /app/trainandserve
ENV PYTHONPATH=/app
WORKDIR /tmp
USER 65532
EXPOSE 8080
ENTRYPOINT ["python", "-m", "trainandserve"]
CMD ["run"]

FROM base AS trainer
COPY requirements/trainer.txt /tmp/requirements.txt
RUN pip install --require-hashes -r /tmp/requirements.txt && rm /tmp/requirements.txt
COPY trainer /app/trainer
ENV PYTHONPATH=/app TF_CPP_MIN_LOG_LEVEL=2
WORKDIR /tmp
USER 65532
# KFP starts each step by a command of its own; this one is for a look by hand.
CMD ["python", "-m", "trainer", "--help"]
