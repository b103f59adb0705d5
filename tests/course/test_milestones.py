"""A milestone is ticked only when its check ran and held."""

import pytest

from capstone_utils.course.authoring.runner import notebooks
from capstone_utils.course.milestones import MET, MILESTONES, UNMET, Milestones


def test_what_was_not_checked_or_did_not_hold_is_unmet():
    milestones = Milestones("monitoring_dashboard")
    milestones.check("metrics integrated", True, "12 scrapes")
    milestones.check("alerts configured", [], "no alert fired")
    first, second, third, *_ = repr(milestones.table()).splitlines()
    assert first.startswith(MET)
    assert second.startswith(UNMET)
    assert "its check did not run" in second
    assert third.startswith(UNMET)
    assert "no alert fired" in third


def test_the_last_check_of_a_milestone_counts():
    milestones = Milestones("monitoring_dashboard")
    milestones.check("alerts configured", True, "fired")
    milestones.check("alerts configured", False, "did not resolve")
    assert ("alerts configured", False, "did not resolve") in milestones.table()


def test_the_page_shows_ticks_and_quotes_what_was_seen():
    milestones = Milestones("model_serving_fastapi")
    milestones.check("FastAPI deployed locally", True, "p95 < 20 ms & <b>no</b> error")
    page = milestones.table()._repr_html_()
    assert page.count(MET) == 1
    assert page.count(UNMET) == 2
    assert "p95 &lt; 20 ms &amp; &lt;b&gt;no&lt;/b&gt; error" in page


def test_a_milestone_of_another_notebook_is_refused_with_the_right_ones():
    with pytest.raises(ValueError, match=r"'alerts configured' is none of this notebook's milestones: Kafka installed"):
        Milestones("data_ingestion_pipeline").check("alerts configured", True, "")


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_each_notebook_checks_each_of_its_milestones(path):
    text = path.read_text(encoding="utf-8")
    name = path.stem.partition("_")[2]
    assert f'Milestones(\\"{name}\\")' in text
    for milestone in MILESTONES[name]:
        assert f'\\"{milestone}\\"' in text
