import pytest

from core.errors import HeadstartError
from core.web.arrivals import Arrivals


def test_bodies_are_bounded_in_number_and_in_bytes_for_one_client_and_for_all() -> None:
    arrivals = Arrivals("visitor_often", (2, 10), (3, 15))
    with arrivals.one("a") as first, arrivals.one("a") as second:
        with pytest.raises(HeadstartError), arrivals.one("a"):
            pass
        first(6)
        second(4)
        with pytest.raises(HeadstartError):
            second(1)
        with arrivals.one("b") as third:
            with pytest.raises(HeadstartError), arrivals.one("c"):
                pass
            third(4)
            with pytest.raises(HeadstartError) as caught:
                third(1)
    assert caught.value.code == "visitor_often" and caught.value.values == {"seconds": 1}
    with arrivals.one("c") as fourth:  # what has ended counts no more
        fourth(10)
