"""Certificates for tests: an authority, and what it signs, as PEM files in a directory of the test's own."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

SHORT = {"CN": NameOID.COMMON_NAME, "O": NameOID.ORGANIZATION_NAME, "OU": NameOID.ORGANIZATIONAL_UNIT_NAME}
DAY = datetime.timedelta(days=1)


def name(**parts: str) -> x509.Name:
    """In the order of a certificate, which RFC 4514 turns round."""
    return x509.Name([x509.NameAttribute(SHORT[key], value) for key, value in parts.items()])


class Authority:
    """Its certificate is `ca`; what `issue` makes lies beside it."""

    def __init__(self, base: Path, called: str = "ca") -> None:
        self.base = base
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = name(CN=called)
        self.ca = base / f"{called}.pem"
        basic = x509.BasicConstraints(ca=True, path_length=None)
        made = self._builder(self._name, self._key, 30).add_extension(basic, True).sign(self._key, hashes.SHA256())
        self.ca.write_bytes(made.public_bytes(Encoding.PEM))

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, days: int) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 60 * DAY)
            .not_valid_after(now + days * DAY)
        )

    def issue_authority(self, base: Path, called: str) -> "Authority":
        """Another one, which this one vouches for."""
        other = Authority(base, called)
        basic = x509.BasicConstraints(ca=True, path_length=None)
        builder = self._builder(other._name, other._key, 30).add_extension(basic, True)
        other.ca.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        return other

    def issue(self, file: str, days: int = 30, passphrase: bytes = b"", **subject: str) -> tuple[str, str]:
        """Paths of a certificate for localhost and 127.0.0.1, and of its key. days: it is good for, from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        extension = x509.SubjectAlternativeName(alternatives)
        made = self._builder(name(**(subject or {"CN": file})), key, days).add_extension(extension, False)
        cert, private = self.base / f"{file}.pem", self.base / f"{file}.key"
        cert.write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        lock: KeySerializationEncryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
        private.touch(0o600)  # libpq and PostgreSQL refuse one that others may read
        private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock))
        return str(cert), str(private)
