"""One payment from the future blinds nobody: a dead letter by the record's own time, the same at each reading."""

import shutil
import time

import pytest
from kafka.admin import ConfigResource, ConfigResourceType

from capstone_utils.ingestion.streaming.clients import open_admin
from capstone_utils.ingestion.streaming.partition_log import read_partition
from capstone_utils.transaction import DAY_SECONDS, MAX_TIME_US, SECOND_US

CLIENTS = ("kafka-python", "confluent")
HOUR_US = 3600 * SECOND_US


@pytest.mark.parametrize("clock", ["LogAppendTime", "CreateTime"])
@pytest.mark.parametrize("client", CLIENTS)
def test_payments_from_the_future_are_dead_letters_and_the_user_s_others_keep_their_features(
    house, arrivals, client, clock
):
    house.settings = house.with_(kafka_client=client)
    topic = house.settings.transactions_topic
    with open_admin(house.settings.bootstrap_servers) as admin:
        setting = {"message.timestamp.type": clock}
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, setting)])
    now_us = time.time_ns() // 1000
    aheads = [11 * HOUR_US // 2, 2 * DAY_SECONDS * SECOND_US, MAX_TIME_US - now_us]  # 5:30 hours, two days, 2100
    first = arrivals[0]
    ahead = [first._replace(transaction_id=10**9 + add, event_time_us=now_us + add) for add in aheads]
    near = first._replace(transaction_id=10**9, event_time_us=now_us + 4 * 60 * SECOND_US)
    house.send(arrivals[:500])
    house.send(ahead)
    house.send(arrivals[500:1000])
    house.send([near])
    found = house.finish()
    assert found.sound, found
    assert (found.unreadable, found.transactions + found.duplicates) == (3, 1001)
    letters = read_partition(house.settings.bootstrap_servers, house.settings.dead_letter_topic, 0)
    reasons = [dict(letter.headers)["reason"].decode() for letter in letters]
    assert all(reason.startswith("timestamp='2") for reason in reasons)
    told = "it is 5:30 hours ahead, as a local time sent as UTC would be"
    assert [told in reason for reason in reasons] == [True, False, False]
    shutil.rmtree(house.settings.work_dir / house.settings.state_dir)  # the same again when the state is made anew
    house.send(arrivals[1000:1200])
    again = house.finish()
    assert again.sound, again
