"""The states of all users: recent ones as objects, others as bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

import orjson

from capstone_utils.features.online.user_state import UserState
from capstone_utils.features.plan import KeyPlan

AWAKE_USERS = 10_000
IDLE_USER_BYTES = 1_000  # no more for a packed user of the full set: a million of them in 1 GB


class UserStore:
    """User states by user_id, of which at most `awake_users` are objects.

    The user who paid longest ago is packed first. On the simulated stream a packed user of the full set takes about 800
    bytes, the dictionary's entry included; a test holds it below IDLE_USER_BYTES. An awake user takes 7 kB. A state has
    an upper size: some 700 bytes, packed 70, for each of at most `max_events` transactions. Packing one user and waking
    another takes some 40 us together.
    """

    def __init__(self, plan: KeyPlan, known_columns: int, awake_users: int = AWAKE_USERS) -> None:
        if awake_users < 1:
            raise ValueError(f"awake_users={awake_users!r} should be at least 1")
        self._plan = plan
        self._known_columns = known_columns
        self._awake_users = awake_users
        self._awake: OrderedDict[int, UserState] = OrderedDict()  # the one that paid longest ago first
        self._packed: dict[int, bytes] = {}

    def __len__(self) -> int:
        return len(self._awake) + len(self._packed)

    def __contains__(self, user_id: object) -> bool:
        return user_id in self._awake or user_id in self._packed

    def __iter__(self) -> Iterator[int]:
        yield from self._packed
        yield from self._awake

    def wake(self, user_id: int) -> UserState:
        """The user's state, to be changed; empty if not seen before."""
        user = self._awake.get(user_id)
        if user is not None:
            self._awake.move_to_end(user_id)
            return user
        user = self._awake[user_id] = self.look(user_id)
        self._packed.pop(user_id, None)
        if len(self._awake) > self._awake_users:
            longest_ago, state = self._awake.popitem(last=False)
            self._packed[longest_ago] = self._pack(state)
        return user

    def look(self, user_id: int) -> UserState:
        """The user's state, to be read only; empty if not seen before."""
        user = self._awake.get(user_id)
        if user is None:
            user = UserState(len(self._plan.columns), self._known_columns)
            packed = self._packed.get(user_id)
            if packed is not None:
                user.fill(orjson.loads(packed))
        return user

    def pack(self, user_id: int) -> bytes:
        """The user's state as bytes for `unpack`.

        Raises:
            KeyError: for a user not seen before.
        """
        user = self._awake.get(user_id)
        return self._packed[user_id] if user is None else self._pack(user)

    def unpack(self, user_id: int, packed: bytes) -> None:
        """Replace the user's state by the one that `pack` gave."""
        self._awake.pop(user_id, None)
        self._packed[user_id] = packed

    def forget(self, user_id: int) -> None:
        """Drop the user's state, if there is one."""
        self._awake.pop(user_id, None)
        self._packed.pop(user_id, None)

    def clear(self) -> None:
        """Drop every state."""
        self._awake.clear()
        self._packed.clear()

    def _pack(self, user: UserState) -> bytes:
        user.trim(self._plan)
        return bytes(memoryview(orjson.dumps(user.to_list())))  # a copy: orjson's own keeps a buffer of kilobytes
