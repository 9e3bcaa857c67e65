# SPDX-License-Identifier: BSD-2-Clause
"""Good requests of every kind, for peers to send as they are or worse. Keyword arguments replace an AVP by its name in rawdia; None leaves it out."""
import os
import ssl

import lab as lablib
import rawdia as dia

KM = b"0123456789abcdef0123456789ABCDEF"  # of every key that is pushed: to be found in no log


def avps(pairs):
    return [dia.avp(getattr(dia, name), v) for name, value in pairs.items() if value is not None
            for v in (value if isinstance(value, list) else [value])]


def head(link, app, dest=None, session=None, **other):
    """What every request begins with."""
    return avps({"SESSION_ID": session or f"{link.host};1;{os.urandom(4).hex()}", "AUTH_APP": app, "AUTH_STATE": 1, "ORIGIN_HOST": link.host,
                 "ORIGIN_REALM": "example.com", "DEST_REALM": "example.com", "DEST_HOST": dest, **other})


def key(link, rel=None, **other):
    """An M2M-Key; rel: 16 octets of its name."""
    rel = (rel or os.urandom(16)).hex()
    return dia.avp(dia.KEY, avps({
        "KEY_NAME": f"{rel}@{lablib.MAS}", "SUID": 21, "KEYING_MATERIAL": KM, "EXPIRY": 0xf0000000,
        "ENROLEE": f"//{lablib.SP}/pushed", "TARGET": lablib.CSE_ID, "KE_NAME": f"{rel}@{link.host}", **other}))


def kpr(link, *more, flags=dia.REQUEST | dia.PROXIABLE, **other):
    return dia.message(dia.KPR, dia.RKM, [*head(link, dia.RKM, **{"dest": lablib.MAS, **other}), *more], flags)


def krr(link, names, reason=2):
    return dia.message(dia.KRR, dia.RKM, [*head(link, dia.RKM, lablib.MAS), dia.avp(dia.REASON, reason), *[dia.avp(dia.KEY_NAME, n) for n in names]])


def skr(link, names, target=f"//{lablib.SP}/cse2", suid=32):
    return dia.message(dia.SKR, dia.SAK, [*head(link, dia.SAK, lablib.MAS), dia.avp(dia.TARGET, target), dia.avp(dia.SUID, suid),
                                          *[dia.avp(dia.KEY_NAME, n) for n in names]])


def rpr(link, number, payload, session=None, state=None):
    dest = None if state is None else lablib.MTF
    return dia.message(dia.RPR, dia.RP, [*head(link, dia.RP, dest, session), dia.avp(dia.ROUND, number), dia.avp(dia.TLS_PAYLOAD, payload),
                                         *([] if state is None else [dia.avp(dia.STATE, state)])])


def client_hello():
    """The first octets of Python's own TLS client."""
    context = ssl.create_default_context()
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context.wrap_bio(into, out, server_hostname=lablib.MTF).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()
