"""Files appear whole or not at all, and of two that enter at once the second waits."""

import threading

import pytest

from capstone_utils.files import only_one, replaced, sha256, write_text


def break_off(path):
    path.write_text("half")
    raise OSError("the disk is full")


def test_a_block_that_breaks_off_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "kept.txt"
    write_text(path, "old")
    with pytest.raises(OSError, match="full"), replaced(path) as partial:
        break_off(partial)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_new_file_has_the_old_one_s_permissions_and_a_first_one_is_readable(tmp_path):
    path = tmp_path / "a" / "kept.txt"
    write_text(path, "old")
    assert path.stat().st_mode & 0o777 == 0o644
    path.chmod(0o600)
    write_text(path, "new")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o600)


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "kept.txt"
    with replaced(path) as one, replaced(path) as other:
        assert one != other
        one.write_text("one")
        other.write_text("other")
    assert path.read_text() == "one"  # the outer block ended last


def test_the_sum_of_a_file_is_the_known_one(tmp_path):
    write_text(tmp_path / "abc", "abc")
    assert sha256(tmp_path / "abc").startswith("ba7816bf8f01cfea")


def test_the_second_waits_for_the_first(tmp_path):
    order = []

    def second():
        with only_one(tmp_path / "lock"):
            order.append("second")

    thread = threading.Thread(target=second)
    with only_one(tmp_path / "lock"):
        thread.start()
        thread.join(0.2)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
