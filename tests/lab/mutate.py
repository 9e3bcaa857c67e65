# SPDX-License-Identifier: BSD-2-Clause
"""Diameter messages as trees, and changes to them that know what they change: lengths stay right, but for a few."""
import struct

import rawdia as dia

BASE = (258, 260, 263, 264, 268, 277, 278, 279, 281, 282, 283, 284, 293, 294, 296, 297, 298, 33, 24, 25, 27, 55, 257, 266, 269, 272, 273, 285, 299,
        301, 480, 0, 1, 5, 621, 623)
OURS = (583, 584, 586, 404, *range(1101, 1117))
GROUPS = {279, 284, 260, 297, 456, 621, 623, dia.KEY, dia.STATUS}
COMMANDS = (257, 258, 265, 271, 272, 274, 275, 280, 282, *range(16776704, 16776712), 0, 0xffffff)
APPS = (0, 1, 3, 4, dia.RP, dia.RKM, dia.SAK, 4031590916, 0xffffffff)
VALUES = (b"", b"\0", b"\0" * 4, b"\xff" * 4, b"\0\0\0\1", b"\0" * 8, b"\xff" * 8, b"a", b"a\0b", b"x;1;2", b"\xff\xfe", b"../../etc", b"%n%s%n",
          b"\r\nforged", b"mas.example.com", b"MAS.EXAMPLE.COM.", b"example.com", b"@", b"//", b"a" * 255, b"a" * 256, b"." * 1000)


class Avp:
    def __init__(self, code, vendor, flags, data):
        self.code, self.vendor, self.flags, self.length = code, vendor, flags, None
        self.data = data  # octets, or a list of Avp

    def copy(self):
        other = Avp(self.code, self.vendor, self.flags, [a.copy() for a in self.data] if isinstance(self.data, list) else self.data)
        other.length = self.length
        return other

    def octets(self):
        data = b"".join(a.octets() for a in self.data) if isinstance(self.data, list) else self.data
        return dia.avp(self.code & 0xffffffff, data, self.vendor, self.flags, self.length)


def tree(octets):
    """The AVPs of good octets."""
    out = []
    while octets:
        code, word = struct.unpack(">II", octets[:8])
        head, n = 12 if word >> 31 else 8, word & 0xffffff
        data = octets[head:n]
        out.append(Avp(code, struct.unpack(">I", octets[8:12])[0] if head == 12 else 0, word >> 24, tree(data) if code in GROUPS else data))
        octets = octets[n + 3 & ~3:]
    return out


class Mutator:
    """All choices come from one random.Random."""

    def __init__(self, random):
        self.r = random
        self.changes = (self.drop, self.double, self.swap, self.value, self.value, self.value, self.flip, self.cut, self.grow, self.rename,
                        self.rename, self.flag, self.vendor, self.nest, self.insert, self.insert, self.insert, self.wrong_length, self.deep)

    def lists(self, avps):
        """Every list of AVPs in the tree."""
        out = [avps]
        for a in avps:
            if isinstance(a.data, list):
                out += self.lists(a.data)
        return out

    def pick(self, avps):
        """(a list in the tree, an index into it); the list may be empty, then None."""
        where = self.r.choice(self.lists(avps))
        return where, self.r.randrange(len(where)) if where else None

    def some_value(self):
        kind = self.r.randrange(12)
        if kind < 9:
            return self.r.choice(VALUES)
        return self.r.randbytes(self.r.randrange(40)) if kind < 11 else self.r.choice((b"\0", b"A", b"\xff")) * self.r.choice((1500, 20000, 60000))

    def some_avp(self, depth=0):
        code = self.r.choice(self.r.choice((BASE, OURS)))
        vendor = 10415 if code == 404 else dia.VENDOR if code > 1100 else 0
        data = self.some_value()
        if code in GROUPS and depth < 3 and self.r.random() < 0.7:
            data = [self.some_avp(depth + 1) for _ in range(self.r.randrange(4))]
        return Avp(code, vendor, (0x80 if vendor else 0) | self.r.choice((0, 0x40, 0x40, 0x20)), data)

    # --- one change each; where[i] exists ---

    def drop(self, where, i):
        del where[i]

    def double(self, where, i):
        where[i:i] = [where[i].copy() for _ in range(self.r.choice((1, 1, 2, 40)))]

    def swap(self, where, i):
        k = self.r.randrange(len(where))
        where[i], where[k] = where[k], where[i]

    def value(self, where, i):
        where[i].data = self.some_value()

    def flip(self, where, i):
        data = where[i].data
        if isinstance(data, list) or not data:
            return
        at = self.r.randrange(len(data))
        where[i].data = data[:at] + bytes([data[at] ^ 1 << self.r.randrange(8)]) + data[at + 1:]

    def cut(self, where, i):
        data = where[i].data
        where[i].data = data[:self.r.randrange(len(data) + 1)]

    def grow(self, where, i):
        if not isinstance(where[i].data, list):
            where[i].data += self.r.randbytes(self.r.choice((1, 3, 4, 17)))

    def rename(self, where, i):
        other = self.some_avp()
        where[i].code, where[i].vendor, where[i].flags = other.code, other.vendor, other.flags

    def flag(self, where, i):
        where[i].flags ^= 1 << self.r.randrange(8)

    def vendor(self, where, i):
        where[i].vendor = self.r.choice((0, 1, 10415, dia.VENDOR, 0xffffffff))
        where[i].flags |= 0x80

    def nest(self, where, i):
        a = where[i]
        where[i] = Avp(self.r.choice(tuple(GROUPS)), 0, 0x40, [a])
        if where[i].code > 1100:
            where[i].vendor, where[i].flags = dia.VENDOR, 0xc0

    def deep(self, where, i):
        for _ in range(self.r.choice((2, 9, 60))):
            self.nest(where, i)

    def insert(self, where, i):
        where.insert(i, self.some_avp())

    def wrong_length(self, where, i):
        if where is not self.top or self.r.random() < 0.1:  # at the top it ends the connection
            where[i].length = self.r.choice((0, 1, 7, 8, 9, 11, 12, 13, 20, 0xffff, 0xffffff, self.r.randrange(100)))

    # --- a message ---

    def message(self, octets):
        """A good message's octets, changed."""
        avps = self.top = tree(octets[20:])
        flags, code = octets[4], int.from_bytes(octets[5:8], "big")
        app, hbh, ete = struct.unpack(">III", octets[8:20])
        for _ in range(self.r.choice((1, 1, 1, 2, 3, 6))):
            where, i = self.pick(avps)
            if i is not None:
                self.r.choice(self.changes)(where, i)
        if self.r.random() < 0.12:
            flags = self.r.choice((0, 0x20, 0x40, 0x80, 0xa0, 0xc0, 0xd0, 0xe0, 0xff, 0x4f))
        if self.r.random() < 0.08:
            code = self.r.choice(COMMANDS)
        if self.r.random() < 0.08:
            app = self.r.choice(APPS)
        out = dia.message(code, app, [a.octets() for a in avps], flags, hbh, ete)
        if len(out) > 65000:
            out = dia.message(code, app, [], flags, hbh, ete)
        return self.frame(out) if self.r.random() < 0.005 else out

    def frame(self, out):
        """A frame that is not right: the connection is expected to end."""
        kind = self.r.randrange(4)
        if kind == 0:
            return bytes([self.r.randrange(256)]) + out[1:]
        if kind == 1:
            return out[:1] + self.r.choice((0, 3, 19, 20, 22, len(out) - 4, len(out) + 4)).to_bytes(3, "big") + out[4:]
        at = self.r.randrange(len(out))
        if kind == 2:
            return out[:at] + self.r.randbytes(1) + out[at + 1:]
        return out[:at]
