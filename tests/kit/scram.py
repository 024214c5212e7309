"""The client's half of SCRAM-SHA-256 without channel binding (RFC 5802, RFC 7677), for the raw wire client."""

import base64
import hashlib
import hmac


class Scram:
    """first() → final(server-first) → check(server-final). ASCII passwords only: no SASLprep here."""

    def __init__(self, password: str, nonce: bytes, user: str = "") -> None:
        """user: PostgreSQL ignores it, the start-up packet has it."""
        self._password = password.encode("ascii")
        self._bare = b"n=" + user.encode() + b",r=" + base64.b64encode(nonce)
        self._signature = b""

    def first(self) -> bytes:
        return b"n,," + self._bare

    def final(self, server_first: bytes) -> bytes:
        """client-final-message; ValueError where the server's nonce doesn't begin with ours."""
        fields = dict(part.split(b"=", 1) for part in server_first.split(b","))
        if not fields[b"r"].startswith(self._bare.split(b",r=")[1]):
            raise ValueError("the server's nonce is not an extension of ours")
        salted = hashlib.pbkdf2_hmac("sha256", self._password, base64.b64decode(fields[b"s"]), int(fields[b"i"]))
        bare = b"c=biws,r=" + fields[b"r"]
        message = b",".join([self._bare, server_first, bare])
        client = _hmac(salted, b"Client Key")
        proof = bytes(a ^ b for a, b in zip(client, _hmac(hashlib.sha256(client).digest(), message), strict=True))
        self._signature = _hmac(_hmac(salted, b"Server Key"), message)
        return bare + b",p=" + base64.b64encode(proof)

    def check(self, server_final: bytes) -> None:
        """ValueError where the server doesn't know the password either."""
        if server_final != b"v=" + base64.b64encode(self._signature):
            raise ValueError("the server's signature is wrong")


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")
