"""A producer with another partitioner, a topic made anew, a log whose beginning is gone: told, and scored right."""

import shutil

import pytest
from confluent_kafka import Producer
from kafka import TopicPartition

from capstone_utils.ingestion.streaming.clients import open_admin
from capstone_utils.ingestion.streaming.topics import recreate_topic

CLIENTS = ("kafka-python", "confluent")


def send_by_crc32(house, payments):
    """Send as librdkafka does with its default settings."""
    producer = Producer({"bootstrap.servers": house.settings.bootstrap_servers})
    for payment in payments:
        producer.produce(house.settings.transactions_topic, payment.to_json(), payment.key, headers=[("trace", b"7")])
    assert producer.flush(60) == 0


@pytest.mark.parametrize("client", CLIENTS)
def test_a_user_s_payments_come_together_and_one_sent_by_both_producers_is_scored_once(house, arrivals, client):
    house.settings = house.with_(kafka_client=client)
    house.send(arrivals[:500])
    send_by_crc32(house, arrivals[400:1000])
    with house.worker(None, "commit", "2") as process:  # killed on the way: nothing is moved twice that is scored twice
        process.wait(60)
    found = house.finish()
    assert found.sound, found
    assert found.moved > 300
    assert "users lie on two partitions" in house.logged()
    shutil.rmtree(house.settings.work_dir / house.settings.state_dir)  # the states come from the log
    send_by_crc32(house, arrivals[1000:1500])
    again = house.finish()
    assert again.sound, again
    one_producer = {(each.user_id, each.transaction_id) for each in arrivals[:1500]}
    assert again.transactions >= len(one_producer)
    assert "Traceback" not in house.logged()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_topic_that_is_made_anew_under_a_running_worker_is_told_and_read_from_its_beginning(house, arrivals, client):
    house.settings = house.with_(kafka_client=client)
    with house.worker():
        house.send(arrivals[:1000])
        house.wait_until_done()
        recreate_topic(house.settings.bootstrap_servers, house.settings.transactions_topic, 4)
        recreate_topic(house.settings.bootstrap_servers, house.settings.scores_topic, 4)
        house.send(arrivals[1000:1500])
        house.wait(lambda: not house.audit().lost)
    assert "was made anew" in house.logged()
    found = house.finish()
    assert found.sound, found
    assert found.transactions + found.duplicates == 500


@pytest.mark.parametrize("client", CLIENTS)
def test_a_group_s_first_start_on_a_log_whose_beginning_is_gone_counts_what_is(house, arrivals, client):
    house.settings = house.with_(kafka_client=client)
    house.send(arrivals[:1000])
    with open_admin(house.settings.bootstrap_servers) as admin:
        topic = house.settings.transactions_topic
        admin.delete_records({TopicPartition(topic, part): 50 for part in house.ends()})
    found = house.finish()
    assert (found.lost, found.twice, found.unequal) == ([], [], [])
    assert all(
        f"partition {part}: 50 records were deleted before they were scored" in house.logged() for part in range(4)
    )
