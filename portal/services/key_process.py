"""Opens one private key. Run as a process of its own, by its file name: nothing but its memory and time is at stake.

Standard input: length of the passphrase (4 bytes, big endian; 0xFFFFFFFF for none) · passphrase · key (PEM).
Standard output: "ok " and the key as PKCS#8 DER, or the code of the reason why not. A key derivation that is made to
cost hours or gigabytes (scrypt, PBKDF2; see reliability.md, rule 7) ends at the limits that are set here.
"""

from __future__ import annotations

import resource
import struct
import sys

CPU_SECONDS = 4
MEMORY_BYTES = 640 * 1024 * 1024
NO_PASSPHRASE = 0xFFFFFFFF


def limit() -> None:
    """Give up all but a little time and memory; write no file."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def open_key(pem: bytes, passphrase: bytes | None) -> bytes:
    """Return b"ok " and the key as PKCS#8 DER, or the reason why not."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    try:
        key = form.load_pem_private_key(pem, passphrase)
        if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            return b"unsupported_key_type"
        der = key.private_bytes(form.Encoding.DER, form.PrivateFormat.PKCS8, form.NoEncryption())
    except TypeError:
        if passphrase is None:
            return b"key_passphrase_needed"
        return open_key(pem, None)
    except UnsupportedAlgorithm:
        return b"unsupported_key_type"
    except MemoryError:
        return b"key_too_costly"
    except ValueError as error:
        return _reason(str(error), pem, passphrase)
    return b"ok " + der


def _reason(text: str, pem: bytes, passphrase: bytes | None) -> bytes:
    if "memory" in text.lower():
        return b"key_too_costly"
    is_encrypted = b"ENCRYPTED" in pem
    return b"key_passphrase_wrong" if is_encrypted and passphrase is not None else b"broken_key"


def main() -> None:
    """Read, open, answer."""
    limit()
    data = sys.stdin.buffer.read()
    (length,) = struct.unpack_from(">I", data)
    passphrase = None if length == NO_PASSPHRASE else data[4 : 4 + length]
    pem = data[4:] if passphrase is None else data[4 + length :]
    sys.stdout.buffer.write(open_key(pem, passphrase))


if __name__ == "__main__":
    main()
