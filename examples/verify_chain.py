#!/usr/bin/env python3
"""Verifies chains of delegation statements, as docs/statements.md has it; needs `cryptography`.

    verify_chain.py examples/vectors/*.json         each vector: does it give what is expected?
    verify_chain.py --trust-domain example.org --bundle bundle.json chain.json [--at TIME]

Exit code: 0 if all is good, 1 if something isn't."""

import argparse, base64, hashlib, json, re, sys
from datetime import datetime, timezone

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

TYPES = {"countersign-statement": "countersign-delegation+jwt",
         "countersign-list": "countersign-revocations+jwt",
         "countersign-checkpoint": "countersign-checkpoint+jwt"}
CLASSES = ["Public", "Internal", "Confidential", "Restricted"]
MAX_TIME = 253402207200
TRUST_DOMAIN = r"spiffe://[a-z0-9._-]{1,255}"
SEGMENT = r"/(?!\.{1,2}(?:/|\Z))[a-zA-Z0-9._-]+"


class Broken(Exception):
    def __init__(self, category, why="", hop=None):
        self.category, self.why, self.hop = category, why, hop


def need(condition, category, why=""):
    if not condition:
        raise Broken(category, why)


# --- encoding: base64url, JSON, and what is of which form ---------------------------------------

def b64(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def unb64(text):
    need(re.fullmatch(r"[A-Za-z0-9_-]*", text) and len(text) % 4 != 1, "not-compact", "no base64url")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    need(b64(data) == text, "not-compact", "base64url, but not canonical")
    return data


def parse(data, category):
    def members(pairs):
        need(len(dict(pairs)) == len(pairs), category, "a member twice")
        return dict(pairs)

    def number(text):
        need(re.fullmatch("0|-?[1-9][0-9]*", text), category, f"{text} is no integer")
        return int(text)

    try:
        value = json.loads(data.decode(), object_pairs_hook=members, parse_int=number,
                           parse_float=number, parse_constant=number)
        json.dumps(value, ensure_ascii=False).encode()  # refuses half a surrogate pair
        return value
    except (ValueError, RecursionError) as why:
        raise Broken(category, str(why))


def integer(low, high):
    return lambda it: type(it) is int and low <= it <= high


def string(most, least=0):
    return lambda it: isinstance(it, str) and least <= len(it.encode()) <= most


def array(of, most):
    return lambda it: isinstance(it, list) and len(it) <= most and all(map(of, it))


def matches(pattern, most=2048):
    return lambda it: isinstance(it, str) and len(it) <= most and re.fullmatch(pattern, it)


def struct(required, optional={}):
    return lambda it: (isinstance(it, dict) and required.keys() <= it.keys() <= required.keys() | optional.keys()
                       and all((required.get(name) or optional[name])(it[name]) for name in it))


def moment(it):
    try:  # strptime has no year 0000, whose calendar is that of 0400
        return (matches(r"[0-9-]{10}T[0-9:]{8}Z")(it) and it <= "9999-12-30T22:00:00Z"
                and datetime.strptime(it.replace("0000-", "0400-", 1), "%Y-%m-%dT%H:%M:%SZ"))
    except ValueError:
        return False


spiffe_id = matches(f"{TRUST_DOMAIN}({SEGMENT})+")
digest = matches(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")  # 43 characters of which two bits aren't used
time, byte, text, name = integer(-377705023201, MAX_TIME), integer(0, 255), string(1 << 30), string(1024)
GRANT = struct({"type": lambda it: it == "countersign_grant", "actions": array(text, 32),
                "resources": array(text, 64)},
               {"constraints": struct({}, {"maxDataClass": lambda it: it in CLASSES, "notAfter": moment,
                                           "audiences": array(text, 32), "maxCalls": integer(0, 2**64 - 1)})})
TASK = struct(dict.fromkeys(["group", "resource", "namespace", "name", "uid"], name))
COMMON = {"sub": spiffe_id, "jti": string(520, 1), "iat": time, "exp": time, "del_max_depth": byte,
          "authorization_details": array(GRANT, 64)}
HOP = {**COMMON, "iss": matches(TRUST_DOMAIN), "del_depth": byte, "owner": name}
HOP_0 = struct(HOP, {"requester": name})
HOP_BELOW = struct({**HOP, "delegator": spiffe_id, "par_hash": digest, "task": TASK},
                   {"requester": name, "statement": text})
LIST = struct({"iss": matches(TRUST_DOMAIN), "iat": time, "next_update": time, "digests": array(digest, 1 << 30),
               "seq": integer(0, 2**64 - 1), "partition": integer(0, 65535), "partitions": integer(1, 65536)})


# --- keys, headers, signatures ------------------------------------------------------------------

class Keys:
    """The bundle's keys, each by the one header it makes. (Nobody looks for points of small order.)"""

    def __init__(self, trust_domain, bundle):
        self.issuer, self.by_header, self.bundle = "spiffe://" + trust_domain, {}, bundle
        for jwk in (it for it in bundle["keys"] if it.get("use") in TYPES):
            hashed = json.dumps({it: jwk[it] for it in ("crv", "kty", "x")}, separators=(",", ":"))
            if ((jwk["kty"], jwk["crv"], jwk.get("alg", "EdDSA")) != ("OKP", "Ed25519", "EdDSA") or "d" in jwk
                    or jwk["kid"] != hashlib.sha256(hashed.encode()).hexdigest() or jwk["kid"] in self.uses()):
                raise ValueError(f"the bundle is refused for its key {jwk['kid']}")
            header = '{"alg":"EdDSA","typ":"%s","kid":"%s"}' % (TYPES[jwk["use"]], jwk["kid"])
            self.by_header[b64(header.encode())] = jwk

    def uses(self):
        return {key["kid"]: key["use"] for key in self.by_header.values()}

    def cut(self, compact, use, most):
        """The key, what is signed, the signature, the payload's text."""
        need(len(compact.encode()) <= most, "too-large")
        need(compact.count(".") == 2, "not-compact", "not three parts")
        header, payload, signature = compact.split(".")
        key = self.by_header.get(header)
        if not key or key["use"] != use:
            self.diagnose(read_header(header), use)
        signature = unb64(signature)
        need(len(signature) == 64, "not-compact", "a signature has 64 bytes")
        return key, f"{header}.{payload}".encode(), signature, payload

    def diagnose(self, header, use):
        need("x5c" not in header, "forbidden-header", "x5c")
        need(header.get("alg") == "EdDSA", "algorithm", header.get("alg"))
        need(header.get("typ") == TYPES[use], "type", header.get("typ"))
        need(header.get("kid") in self.uses(), "unknown-key", header.get("kid"))
        need(self.uses()[header["kid"]] == use, "other-purpose", self.uses()[header["kid"]])
        raise Broken("bad-header", "it isn't in its one form")

    def check_issuer(self, claims, key):
        need(claims["iss"] == self.issuer, "other-trust-domain", claims["iss"])
        need(claims["iat"] <= key.get("countersign_retired_at", MAX_TIME), "retired-key", key["kid"])


def read_header(encoded):
    header, forbidden = parse(unb64(encoded), "bad-header"), ["crit", "b64", "jwk", "jku", "x5u"]
    known = {**dict.fromkeys(["alg", "typ", "kid"], text), "x5c": array(text, 1 << 30),
             **dict.fromkeys(forbidden, lambda it: True)}
    need(struct({}, known)(header), "bad-header", "it has a member that isn't known")
    need(not header.keys() & set(forbidden), "forbidden-header", *header.keys() & set(forbidden))
    return header


def check_signature(key, message, signature):
    try:
        Ed25519PublicKey.from_public_bytes(unb64(key["x"])).verify(signature, message)
    except InvalidSignature:
        raise Broken("bad-signature")


# --- grants -------------------------------------------------------------------------------------

def covers(above, below):
    above, below = above.split("/"), below.split("/")
    if above[-1] == "*" and len(below) > len(above):
        below = below[:len(above)]
    return len(above) == len(below) and all(one in ("*", other) for one, other in zip(above, below))


def bounded(child, parent):
    kept = {"maxDataClass": lambda c, p: CLASSES.index(c) <= CLASSES.index(p), "notAfter": lambda c, p: c <= p,
            "audiences": lambda c, p: set(c) <= set(p), "maxCalls": lambda c, p: c <= p}
    child, parent = child.get("constraints", {}), parent.get("constraints", {})
    return all(it in child and kept[it](child[it], parent[it]) for it in parent)


def narrows(parent, child):
    return all(any(bounded(grant, above) and {action, "*"} & set(above["actions"])
                   and any(covers(it, resource) for it in above["resources"]) for above in parent)
               for grant in child for action in grant["actions"] for resource in grant["resources"])


# --- a chain ------------------------------------------------------------------------------------

def read_claims(payload):
    claims = parse(unb64(payload), "bad-claims")
    need(HOP_0(claims) or HOP_BELOW(claims), "bad-claims", "not of this form")
    need(claims["iat"] >= 0, "bad-claims", "iat")
    need(claims["exp"] > claims["iat"], "no-lifetime")
    need(claims["del_depth"] <= claims["del_max_depth"] <= 16, "too-deep")
    need((HOP_0 if claims["del_depth"] == 0 else HOP_BELOW)(claims), "bad-claims", "not of this hop")
    need(all(it.startswith(claims["iss"] + "/") for it in (claims["sub"], claims.get("delegator", claims["sub"]))),
         "bad-claims", "another trust domain than iss")
    owners = claims["iss"] + "/owner/"
    if claims["del_depth"] == 0:
        need("/" not in claims["owner"] and claims["sub"] == owners + claims["owner"], "bad-claims", "sub")
    else:
        need(not claims["sub"].startswith(owners), "bad-claims", "sub is an owner")
    return claims


def follow(hops, claims):
    parent = hops[-1]
    need(claims.get("par_hash") == parent["digest"], "parent-hash")
    need(claims["delegator"] == parent["sub"], "delegator", claims["delegator"])
    need(claims["owner"] == parent["owner"], "other-owner", claims["owner"])
    need(claims["jti"] != parent["jti"], "reused-id", claims["jti"])
    need(claims["del_depth"] == parent["del_depth"] + 1, "depth")
    need(claims["del_depth"] <= parent["del_max_depth"], "too-deep")
    need(claims["del_max_depth"] <= parent["del_max_depth"], "widens-depth")
    need(claims["exp"] <= parent["exp"], "widens-expiry")
    need(claims["iat"] >= parent["iat"], "before-parent")
    need(claims["sub"] not in [hop["sub"] for hop in hops], "cycle", claims["sub"])
    need(narrows(parent["authorization_details"], claims["authorization_details"]), "widens-grants")
    need(claims["jti"] not in [hop["jti"] for hop in hops], "reused-id", claims["jti"])


def verify(statements, keys, now, lists=(), check_agent=None):
    """The claims of each hop. Raises Broken."""
    lists = [read_list(it, keys, now) for it in lists]
    need(statements, "empty")
    need(len(statements) <= 17, "too-long")
    at, parts, hops = 0, [], []
    try:
        for at, statement in enumerate(statements):
            need(len(statement.encode()) <= 32768, "too-large")
        for at, statement in enumerate(statements):
            parts.append(keys.cut(statement, "countersign-statement", 32768))
        for at, (key, message, signature, _) in enumerate(parts):
            check_signature(key, message, signature)
        for at, (key, message, _, payload) in enumerate(parts):
            claims = read_claims(payload)
            keys.check_issuer(claims, key)
            if hops:
                follow(hops, claims)
            need(hops or claims["del_depth"] == 0, "no-root")
            if check_agent and "statement" in claims:
                check_agent(claims, keys.bundle)
            hops.append({**claims, "digest": b64(hashlib.sha256(message).digest())})
        for at, hop in enumerate(hops):
            need(hop["exp"] > now, "expired")
            need(hop["iat"] <= now + 60, "not-yet-valid")
            need(not any(hop["digest"] in it["digests"] for it in lists), "revoked")
    except Broken as why:
        raise Broken(why.category, why.why, at)
    for hop in hops if lists else []:
        need(any(partition(hop["digest"], it) == it["partition"] for it in lists), "stale", "no list for a hop")
    return hops


def partition(digest, of):
    return int.from_bytes(unb64(digest)[:4], "big") % of["partitions"]


def read_list(compact, keys, now):
    key, message, signature, payload = keys.cut(compact, "countersign-list", 16 << 20)
    check_signature(key, message, signature)
    claims = parse(unb64(payload), "bad-claims")
    need(LIST(claims), "bad-claims", "not of this form")
    keys.check_issuer(claims, key)
    raw = [unb64(it) for it in claims["digests"]]
    need(claims["partition"] < claims["partitions"] and claims["next_update"] > claims["iat"]
         and raw == sorted(set(raw)), "bad-claims")
    need(all(partition(it, claims) == claims["partition"] for it in claims["digests"]), "bad-claims")
    need(claims["next_update"] > now, "stale")
    return claims


# --- programs -----------------------------------------------------------------------------------

def judge(file, vector):
    check_agent = None
    if vector.get("agentStatements"):
        from agent_statement import check_agent
    try:
        keys = Keys(file["trustDomain"], vector.get("bundle", file["bundle"]))
        leaf = verify(vector["statements"], keys, vector.get("now", file["now"]),
                      vector.get("revocationLists", []), check_agent)[-1]
        return {"valid": {"sub": leaf["sub"], "grants": leaf["authorization_details"], "expires": leaf["exp"]}}
    except Broken as why:
        return {"broken": {"hop": why.hop, "category": why.category}}


def run_vectors(files):
    # The bundle and the chain to try lie beside the vectors.
    vectors = [(file, it) for file in files if isinstance(file, dict) for it in file.get("vectors", [])]
    if not vectors:
        sys.exit("no vectors in these files; to verify a chain, give --trust-domain and --bundle")
    wrong = [(vector, found) for file, vector in vectors if (found := judge(file, vector)) != vector["expect"]]
    failed = [vector["name"] for vector, _ in wrong]
    print(*(f"{'FAIL' if it['name'] in failed else 'pass'}  {it['name']}" for _, it in vectors), sep="\n")
    for vector, found in wrong:
        print(f"{vector['name']}: expected {vector['expect']}, found {found}")
    print(f"{len(vectors) - len(wrong)} of {len(vectors)} vectors give what is expected")
    return 1 if wrong else 0


def run_chain(trust_domain, bundle, chain, at):
    at = datetime.fromisoformat(at) if at else datetime.now(timezone.utc)
    try:
        hops = verify(chain, Keys(trust_domain, bundle), at.timestamp())
    except Broken as why:
        print(f"refused ({why.category}): hop {why.hop}: {why.why}")
        return 1
    for depth, hop in enumerate(hops):
        print(f"hop {depth}: {hop['sub']} until {datetime.fromtimestamp(hop['exp'], timezone.utc).isoformat()}")
    print("good; the last may:", *map(json.dumps, hops[-1]["authorization_details"]), sep="\n  ")
    return 0


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--bundle", metavar="FILE", help="the trust domain's SPIFFE bundle")
    options.add_argument("--trust-domain", metavar="NAME")
    options.add_argument("--at", metavar="TIME", help="verify as of then, such as 2026-11-16T08:05:00Z")
    options.add_argument("files", nargs="+", metavar="FILE", help="vectors; with --bundle one chain")
    options = options.parse_args()
    bundle, *files = [json.load(open(it, encoding="utf-8")) if it else None for it in [options.bundle, *options.files]]
    return run_chain(options.trust_domain, bundle, files[0], options.at) if bundle else run_vectors(files)


if __name__ == "__main__":
    sys.modules.setdefault("verify_chain", sys.modules["__main__"])  # agent_statement has one Broken with us
    sys.exit(main())
