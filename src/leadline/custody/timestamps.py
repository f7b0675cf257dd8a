"""RFC 3161 timestamps over an anchor: ask for one, check one. Opens no connection and never looks at revocation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from leadline.custody import verify
from leadline.custody.chain import format_time
from leadline.errors import CustodyFormatError, TimestampFailed

if TYPE_CHECKING:
    from rfc3161_client import TimeStampRequest

Send = Callable[[bytes], bytes]  # request (application/timestamp-query) -> response (application/timestamp-reply)
MAX_RESPONSE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Timestamp:
    """The message existed at `at` (UTC), says `authority` (subject of its certificate, RFC 4514)."""

    at: str
    authority: str
    policy: str
    serial: int


def request_timestamp(message: bytes, send: Send, roots: Sequence[x509.Certificate]) -> bytes:
    """Have `message` stamped; the answer is checked against the request and the roots before it is given back.

    Raises TimestampFailed where the authority refuses or its answer does not hold; what `send` raises goes through.
    """
    request = TimestampRequestBuilder().data(message).hash_algorithm(HashAlgorithm.SHA512).build()
    untrusted_response = send(request.as_bytes())
    try:
        _check(untrusted_response, message, roots, request)
    except CustodyFormatError as error:
        mend = "try again later, or name the authority's own root certificate"
        raise TimestampFailed(error.what, where="timestamp authority", mend=mend) from None
    return untrusted_response


def check_timestamp(untrusted_response: bytes, message: bytes, roots: Sequence[x509.Certificate]) -> Timestamp:
    """What the timestamp proves of `message`. Certificates have to be valid at the time of the stamp, not now.

    Raises CustodyFormatError where it is damaged, over something else, or not by an authority under `roots`.
    """
    return _check(untrusted_response, message, roots, None)


def load_roots(untrusted_pem: bytes) -> list[x509.Certificate]:
    """Root certificates from PEM. Raises CustodyFormatError where there is none."""
    try:
        return x509.load_pem_x509_certificates(untrusted_pem)
    except ValueError:
        raise CustodyFormatError("no certificate in PEM", where="root", mend="get the authority's root again") from None


def _check(
    untrusted: bytes, message: bytes, roots: Sequence[x509.Certificate], request: TimeStampRequest | None
) -> Timestamp:
    if not roots:
        raise CustodyFormatError("no root certificate named", where="root", mend="name the authority's root")
    if len(untrusted) > MAX_RESPONSE_BYTES:
        raise CustodyFormatError("timestamp: too large", where="timestamp", mend="get the timestamp again")
    builder = VerifierBuilder.from_request(request) if request is not None else VerifierBuilder()
    for root in dict.fromkeys(roots):
        builder = builder.add_root_certificate(root)
    try:
        response = decode_timestamp_response(untrusted)
        builder.build().verify_message(response, message)
        return _describe(response)
    except (ValueError, VerificationError) as error:
        what = f"timestamp: {error}" if isinstance(error, VerificationError) else "timestamp: no RFC 3161 response"
        raise CustodyFormatError(what, where="timestamp", mend="see docs/custody.md, Timestamps") from None


def _describe(response: TimeStampResponse) -> Timestamp:
    info, (signer, *_) = response.tst_info, response.signed_data.signer_infos
    certificates = map(x509.load_der_x509_certificate, response.signed_data.certificates)
    names = [c.subject.rfc4514_string() for c in certificates if c.serial_number == signer.serial_number]
    policy = info.policy.dotted_string
    return Timestamp(format_time(info.gen_time), names[0] if names else "unnamed", policy, info.serial_number)


def prove_stamps(result: verify.Result, roots: Sequence[x509.Certificate]) -> None:
    """Turn the timestamps of a checked path into proofs. Where roots are named, one timestamp has to be under them."""
    proven = 0
    for stamp in result.stamps:
        try:
            found = check_timestamp(stamp.token, stamp.message, roots)
        except CustodyFormatError as error:
            result.notes.append(f"{stamp.where} proves nothing: {verify.show_text(error.what)}")
            continue
        proven += 1
        by = f"timestamp authority {verify.show_text(found.authority)} at {found.at}"
        result.proofs.append(verify.Proof(stamp.line, by))
    if not proven:
        result.blame("timestamp", "timestamps", "none here that holds is by an authority whose root you named")
