"""Verifies what a delegator signed itself, for verify_chain.py: docs/statements.md, "The agent's
statement". Of RFC 5280 it has only what is needed here: take a library."""

import base64
from datetime import datetime, timezone

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID

from verify_chain import COMMON, Broken, digest, narrows, need, parse, read_header, spiffe_id, struct, unb64

REQUEST = struct({**COMMON, "iss": spiffe_id, "par_hash": digest})
CURVES = {"secp256r1": ("ES256", 32, hashes.SHA256()), "secp384r1": ("ES384", 48, hashes.SHA384())}


def check_agent(hop, bundle):
    try:
        asked = read_request(hop["statement"], bundle, hop["iat"])
    except (Broken, ValueError, InvalidSignature, x509.ExtensionNotFound) as why:
        raise Broken("agent-statement", repr(why))
    same = (hop["delegator"], hop["sub"], hop["par_hash"]) == (asked["iss"], asked["sub"], asked["par_hash"])
    need(same and hop["exp"] <= asked["exp"] and hop["del_max_depth"] <= asked["del_max_depth"]
         and narrows(asked["authorization_details"], hop["authorization_details"]), "agent-statement", "wider")


def read_request(compact, bundle, at):
    need(len(compact.encode()) <= 16384 and compact.count(".") == 2, "not-compact")
    encoded, payload, signature = compact.split(".")
    header = read_header(encoded)
    need(header.get("typ") == "countersign-agent-delegation+jwt", "type")
    need("kid" not in header and 1 <= len(header.get("x5c", [])) <= 8, "bad-header")
    chain = [x509.load_der_x509_certificate(base64.b64decode(it, validate=True)) for it in header["x5c"]]
    check_path(chain, bundle, datetime.fromtimestamp(at, timezone.utc))
    check_signature(chain[0].public_key(), header.get("alg"), unb64(signature), f"{encoded}.{payload}".encode())
    claims = parse(unb64(payload), "bad-claims")
    need(REQUEST(claims) and claims["iss"] == leaf_id(chain[0]) and claims["del_max_depth"] <= 16, "bad-claims")
    need(claims["exp"] > max(claims["iat"], at) and claims["iat"] <= at + 60, "not in force")
    return claims


def extension(certificate, kind):
    return certificate.extensions.get_extension_for_class(kind).value


def uris(certificate):
    return [it.value for it in extension(certificate, x509.SubjectAlternativeName)
            if isinstance(it, x509.UniformResourceIdentifier)]


def leaf_id(leaf):
    usage = extension(leaf, x509.KeyUsage)
    need(usage.digital_signature and not usage.key_cert_sign and not usage.crl_sign, "key usage")
    need({ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
         <= set(extension(leaf, x509.ExtendedKeyUsage)), "extended key usage")
    kinds = [it.value.ca for it in leaf.extensions if isinstance(it.value, x509.BasicConstraints)]
    need(True not in kinds, "an authority")
    need(len(extension(leaf, x509.SubjectAlternativeName)) == 1 == len(uris(leaf)), "more than one name")
    return uris(leaf)[0]


def check_path(chain, bundle, at):
    """Each is issued by the next, the last by a root of the bundle, and none is over."""
    roots = [x509.load_der_x509_certificate(base64.b64decode(it["x5c"][0]))
             for it in bundle["keys"] if it.get("use") == "x509-svid"]
    root = next((it for it in roots if it.subject == chain[-1].issuer), None)
    need(root is not None, "no root")
    for one, above in zip(chain, [*chain[1:], root]):
        one.verify_directly_issued_by(above)
        need(extension(above, x509.BasicConstraints).ca, "no authority")
        need(all(leaf_id(chain[0]).startswith(it + "/") for it in uris(above)), "another trust domain's")
        need(all(it.not_valid_before_utc <= at < it.not_valid_after_utc for it in (one, above)), "over")


def check_signature(key, alg, signature, message):
    """The algorithm is the key's; ECDSA's signatures are R and S (RFC 7518, section 3.4)."""
    if isinstance(key, Ed25519PublicKey):
        need(alg == "EdDSA", "algorithm")
        return key.verify(signature, message)
    need(isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in CURVES, "key")
    expected, size, hashed = CURVES[key.curve.name]
    need(alg == expected and len(signature) == 2 * size, "algorithm")
    r, s = (int.from_bytes(it, "big") for it in (signature[:size], signature[size:]))
    key.verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(hashed))
