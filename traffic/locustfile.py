"""A steady trickle of example traffic, so that there is something to see: Locust, headless.

One visitor of `web` and one client of `car`'s API read, filter, ask for quotes, write, and now and then
ask for something wrong. Together they send about TRAFFIC_RATE requests a second. Each writes one car of
a fixed name and deletes it again, so the catalogue does not grow, not even by runs that were killed.
A buyer beside them orders a car for every twelfth of those requests.

Read from the environment: WEB_URL, CAR_URL, ORDERS_URL, CAR_WRITE_TOKEN, TRAFFIC_RATE, and TRAFFIC_WAIT_FOR,
addresses separated by spaces that must answer 200 before the first request (for WAIT_SECONDS at most).
"""

from __future__ import annotations

import html
import http.client
import itertools
import os
import re
import time
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from locust import FastHttpUser, task

USERS = 2
WAIT_SECONDS = 60.0
AWAY_SECONDS = 2.0
"""Pause after a request that got no answer, so that a service that starts is not run over."""

MAKER = "passing"
"""The maker of the cars that the traffic adds and deletes."""

FIRST_CAR = ("bentz", "e-class")
DEAR_CAR = ("bentz", "s-class")
"""Costs more than the dealer grants, so that its order is taken back."""
DISCOUNTS = (0, 250, 500, 1000, 1500)


class Paced(FastHttpUser):
    """A user that sends its share of TRAFFIC_RATE, however many requests its last task made."""

    abstract = True
    fixed_count = 1
    connection_timeout = 2.0
    network_timeout = 10.0
    url_variable = ""
    share = 1 / USERS
    """Its part of TRAFFIC_RATE."""

    def __init__(self, environment: Any) -> None:
        self.host = os.environ[self.url_variable]
        super().__init__(environment)
        self.pause = 1 / (self.share * float(os.environ.get("TRAFFIC_RATE") or 3))
        self.sent, self.since, self.away = 0, time.monotonic(), False
        self.cars: Iterator[tuple[str, str]] = itertools.cycle([FIRST_CAR])
        self.discounts = itertools.cycle(DISCOUNTS)

    def on_start(self) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        for address in os.environ.get("TRAFFIC_WAIT_FOR", "").split():
            while not _answers(address) and time.monotonic() < deadline:
                time.sleep(0.2)

    def wait_time(self) -> float:
        """Seconds until the requests of the last task have used up their share of the time."""
        left = self.since + self.sent * self.pause - time.monotonic()
        pause = max(left, AWAY_SECONDS if self.away else 0.0)
        self.sent, self.since, self.away = 0, time.monotonic() + max(pause, 0.0), False
        return max(pause, 0.0)

    def ask(self, method: str, path: str, name: str, *expected: int, **options: Any) -> Any:
        """Send a request; any status but `expected` counts as a failure. Answers the response.

        `name` stands for all paths of its kind in Locust's figures, which would otherwise grow.
        """
        self.sent += 1
        asked = self.client.request(method, path, name=name, catch_response=True, **options)
        with asked as response:
            self.away = response.status_code == 0
            if response.status_code in expected:
                response.success()
            else:
                response.failure(f"status {response.status_code}")
        return response


class Visitor(Paced):
    """A person with a browser."""

    url_variable = "WEB_URL"
    model = "through"

    @task(6)
    def browse(self) -> None:
        page = self.ask("GET", "/cars", "/cars", 200)
        found = re.findall(r'href="/cars/([a-z0-9-]+)/([a-z0-9-]+)"', page.text or "")
        self.cars = _asked_for(found)

    @task(3)
    def filter(self) -> None:
        self.ask("GET", "/cars?min_rating=9&sort=-rating", "/cars?…", 200)
        self.ask("GET", f"/cars?maker={next(self.cars)[0]}", "/cars?…", 200)

    @task(12)
    def quote(self) -> None:
        maker, model = next(self.cars)
        path = f"/cars/{maker}/{model}?discount={next(self.discounts)}"
        self.ask("GET", path, "/cars/{maker}/{model}?discount=…", 200)

    @task(2)
    def hello(self) -> None:
        self.ask("GET", "/hello", "/hello", 200)

    @task(1)
    def mistakes(self) -> None:
        self.ask("GET", "/cars/bentz/no-such-model", "/cars/{maker}/{model}", 404)
        self.ask("GET", "/cars?min_rating=eleven", "/cars?…", 400)
        maker, model = FIRST_CAR
        self.ask("GET", f"/cars/{maker}/{model}?discount=99999999", "/cars/{maker}/{model}?discount=…", 422)

    @task(1)
    def add_change_and_delete(self) -> None:
        form = {"maker": MAKER, "model": self.model, "price": "1000", "currency": "EUR"}
        form |= {"release_date": "2021-03-15", "rating": "5.0", "options": "sunroof\nradio"}
        self.submit("/new-car", {**form, "price": "a lot"}, 422)
        self.submit("/new-car", form, 303, 409)  # 409: an earlier run was killed before it deleted it
        car = f"/cars/{MAKER}/{self.model}"
        self.submit(f"{car}/edition", {**form, "price": "1200"}, 303)
        self.submit(f"{car}/deletion", {}, 303)

    def submit(self, path: str, fields: dict[str, str], *expected: int) -> None:
        """Open a form and send it as a browser does: with its hidden fields, without following on."""
        name = path.replace(f"/{MAKER}/{self.model}", "/{maker}/{model}")
        page = self.ask("GET", path, name, 200)
        hidden = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text or "")
        data = {key: html.unescape(value) for key, value in hidden} | fields
        self.ask("POST", path, name, *expected, data=data, allow_redirects=False)


class Client(Paced):
    """A program that speaks to the API."""

    url_variable = "CAR_URL"
    model = "by"

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        token = os.environ.get("CAR_WRITE_TOKEN")
        self.writing = {"Authorization": f"Bearer {token}"} if token else {}

    def on_stop(self) -> None:
        """Leave nothing behind where a task was cut off in the middle, here or in `web`."""
        for model in (self.model, Visitor.model):
            path = f"/cars/{MAKER}/{model}"
            self.ask("DELETE", path, "/cars/{maker}/{model}", 204, 404, headers=self.writing)

    @task(6)
    def list(self) -> None:
        answer = self.ask("GET", "/cars?limit=10", "/cars", 200)
        if answer.status_code == 200:
            found = [(car["maker"], car["model"]) for car in answer.json()["cars"]]
            self.cars = _asked_for(found)

    @task(3)
    def filter(self) -> None:
        for query in ("min_rating=9.8", "release_date=2021", "sort=-price&limit=5"):
            self.ask("GET", f"/cars?{query}", "/cars?…", 200)

    @task(4)
    def read(self) -> None:
        maker, model = next(self.cars)
        answer = self.ask("GET", f"/cars/{maker}/{model}", "/cars/{maker}/{model}", 200, 404)
        if etag := answer.headers.get("ETag") if answer.status_code == 200 else None:
            headers = {"If-None-Match": etag}
            self.ask("GET", f"/cars/{maker}/{model}", "/cars/{maker}/{model}", 304, 200, headers=headers)
        for part in ("engine", "options", "description"):
            self.ask("GET", f"/cars/{maker}/{model}/{part}", "/cars/{maker}/{model}/…", 200, 404)

    @task(6)
    def quote(self) -> None:
        maker, model = next(self.cars)
        path = f"/cars/{maker}/{model}/quote?discount={next(self.discounts)}"
        self.ask("GET", path, "/cars/{maker}/{model}/quote", 200, 404)

    @task(1)
    def mistakes(self) -> None:
        self.ask("GET", "/cars/no-such-maker", "/cars/{maker}", 404)
        self.ask("GET", "/cars/bentz/e-class/quote?discount=99999999", "/cars/{maker}/{model}/quote", 422)
        self.ask("POST", "/cars", "/cars", 422, 400, json={"maker": "bentz"}, headers=self.writing)

    @task(1)
    def add_change_and_delete(self) -> None:
        car = {"maker": MAKER, "model": self.model, "price": 1000, "currency": "EUR"}
        car |= {"release_date": "2021-03-15", "rating": 5.0}
        path, name = f"/cars/{MAKER}/{self.model}", "/cars/{maker}/{model}"
        self.ask("POST", "/cars", "/cars", 201, 409, json=car, headers=self.writing)
        self.ask("PUT", path, name, 200, json={**car, "price": 1200}, headers=self.writing)
        self.ask("DELETE", path, name, 204, headers=self.writing)


class Buyer(Paced):
    """A program that orders cars, and looks what became of its last order."""

    url_variable = "ORDERS_URL"
    share = 1 / 6
    last = ""

    @task(5)
    def order(self) -> None:
        self.place(FIRST_CAR, next(self.discounts))

    @task(2)
    def order_what_the_dealer_refuses(self) -> None:
        self.place(DEAR_CAR, 0)

    @task(1)
    def order_for_less_than_nothing(self) -> None:
        self.place(FIRST_CAR, 99_999_999)

    def place(self, car: tuple[str, str], discount: int) -> None:
        if self.last:
            self.ask("GET", self.last, "/orders/{order}", 200)
        wanted = {"maker": car[0], "model": car[1], "discount": discount}
        answer = self.ask("POST", "/orders", "/orders", 202, json=wanted)
        self.last = answer.headers.get("Location") or "" if answer.status_code == 202 else ""


def _asked_for(cars: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The cars in turn, and every third time the one that most people want: customers have a favourite.

    So there is enough of one car in a minute to tell that only it is slow.
    """
    order = [
        car for number, each in enumerate(dict.fromkeys(cars)) for car in (each, FIRST_CAR)[: 1 + number % 2]
    ]
    return itertools.cycle(order or [FIRST_CAR])


def _answers(address: str) -> bool:
    target = urlsplit(address)
    connection = http.client.HTTPConnection(target.netloc, timeout=2)
    try:
        connection.request("GET", target.path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
