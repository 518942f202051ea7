"""Large clouds for a page: each counts when it was shown, however often it is lost; one that never is does not."""

from __future__ import annotations

import pytest

from mini_diffuser_ros.bench.page import CLOUDS, SENDINGS, show_each

CLOUD = tuple("ab"[number % 2] for number in range(CLOUDS))


class LossyPage:
    """Shows a cloud that is another than the last, when it was sent so often; of some number on nothing."""

    def __init__(self, sendings: int, broken_after: int = CLOUDS) -> None:
        self._sendings, self._broken_after = sendings, broken_after
        self.shown: list[str] = []
        self._sent = 0
        self.asked = 0

    def publish(self, cloud: str) -> None:
        self._sent += 1
        is_new = not self.shown or self.shown[-1] != cloud
        if self._sent >= self._sendings and is_new and len(self.shown) < self._broken_after:
            self.shown.append(cloud)
            self._sent = 0

    def ask(self) -> None:
        self.asked += 1


@pytest.mark.parametrize("sendings", [1, 3, SENDINGS])
def test_each_cloud_is_shown_though_messages_are_lost(sendings: int) -> None:
    page = LossyPage(sendings)
    seen, sent = show_each(CLOUD, page.publish, lambda: len(page.shown), page.ask, patience=0.001)
    assert (seen, sent) == (CLOUDS, CLOUDS * sendings)
    assert page.shown == list(CLOUD)
    assert bool(page.asked) == (sendings > 1)


@pytest.mark.parametrize("shown", [0, 1, CLOUDS - 1])
def test_a_page_that_shows_no_more_is_found_out(shown: int) -> None:
    page = LossyPage(1, broken_after=shown)
    seen, sent = show_each(CLOUD, page.publish, lambda: len(page.shown), page.ask, patience=0.001)
    assert (seen, sent) == (shown, shown + SENDINGS)
