"""Batches in a broker's own log file that nothing can unpack, as a bad disk or an unknown producer leaves them."""

import struct

import crc32c

from capstone_utils.ingestion.broker.broker import Broker

AHEAD = 12  # first offset and length, which the length does not count
CRC, ATTRIBUTES, CODEC, PAYLOAD = 17, 21, 22, 80  # places in a batch
DAMAGES = ("a flipped bit", "an unknown codec", "a codec that it was not packed by")


def damage(settings, topic, partition, offset, how):
    """Damage the batch of the partition that begins at the offset."""
    path = Broker.directory_in(settings) / "data" / f"{topic}-{partition}" / f"{0:020}.log"
    log, place = bytearray(path.read_bytes()), 0
    while struct.unpack_from(">q", log, place)[0] != offset:
        place += AHEAD + struct.unpack_from(">i", log, place + 8)[0]
    end = place + AHEAD + struct.unpack_from(">i", log, place + 8)[0]
    if how == "a flipped bit":
        log[place + PAYLOAD] ^= 1
    else:
        log[place + CODEC] |= 7 if how == "an unknown codec" else 1
        checksum = crc32c.crc32c(bytes(log[place + ATTRIBUTES : end]))
        log[place + CRC : place + ATTRIBUTES] = struct.pack(">I", checksum)
    with path.open("r+b") as file:
        file.write(log)
