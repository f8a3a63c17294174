"""What a control plane signs and identifies itself with; made once per folder, so that restarts keep it.

Elliptic-curve keys, because they cost a millisecond where RSA keys cost a tenth of a second each.
"""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LIFETIME = datetime.timedelta(days=365)
ADMIN = "admin"
CONTROLLERS = "controllers"  # a user of their own, so that an audit log tells them from the admin
USERS = (ADMIN, CONTROLLERS)
SERVER_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")


@dataclass(frozen=True)
class Credentials:
    """Files in one folder, readable by their owner only."""

    folder: Path

    @property
    def ca_file(self) -> Path:
        return self.folder / "ca.crt"

    @property
    def server_certificate(self) -> Path:
        return self.folder / "server.crt"

    @property
    def server_key(self) -> Path:
        return self.folder / "server.key"

    @property
    def service_account_key(self) -> Path:
        return self.folder / "service-account.key"

    @property
    def token_file(self) -> Path:
        """Kubernetes' static tokens: token,user,uid,"groups"."""
        return self.folder / "tokens.csv"

    def token(self, user: str) -> str:
        """The token of one of USERS."""
        lines = (line.split(",") for line in self.token_file.read_text().splitlines())
        return next(line[0] for line in lines if line[1] == user)

    @classmethod
    def in_folder(cls, folder: Path) -> Credentials:
        """Those that `folder` holds, made if it holds none."""
        credentials = cls(folder)
        if not credentials.token_file.exists():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            credentials._make()
        return credentials

    def _make(self) -> None:
        authority_key, server_key = _key(), _key()
        authority = _certificate("trainandserve-sandbox", authority_key, None, authority_key)
        server = _certificate("kube-apiserver", server_key, authority, authority_key)
        self.ca_file.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
        self.server_certificate.write_bytes(server.public_bytes(serialization.Encoding.PEM))
        write_private(self.server_key, _pem(server_key))
        write_private(self.service_account_key, _pem(_key()))
        tokens = (f'{secrets.token_urlsafe(32)},{user},{user},"system:masters"\n' for user in USERS)
        write_private(self.token_file, "".join(tokens))


def write_private(file: Path, content: str) -> None:
    """Replace `file` by one that only its owner can read, at no moment otherwise."""
    partial = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as private:
        private.write(content)
    partial.replace(file)


def write_kubeconfig(
    file: Path, *, server: str, ca_file: Path, token: str, user: str, namespace: str
) -> None:
    """Write a kubeconfig (mode 0600) that needs no other file."""
    authority = base64.b64encode(ca_file.read_bytes()).decode()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "sandbox", "cluster": {"server": server, "certificate-authority-data": authority}}
        ],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [
            {"name": "sandbox", "context": {"cluster": "sandbox", "user": user, "namespace": namespace}}
        ],
        "current-context": "sandbox",
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    write_private(file, json.dumps(config, indent=1))  # JSON is YAML


def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    # The "EC PRIVATE KEY" form: the one that Kubernetes reads for service account keys and TLS alike.
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    authority: x509.Certificate | None,
    authority_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    """A server's certificate, or an authority's where `authority` is None."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(authority.subject if authority else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
        .add_extension(_key_usage(authority is None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
        )
    )
    if authority:
        names: list[x509.GeneralName] = [x509.DNSName(each) for each in SERVER_NAMES]
        names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(authority_key, hashes.SHA256())


def _key_usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
