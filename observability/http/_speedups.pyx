# cython: language_level=3, boundscheck=False, wraparound=False, nonecheck=True, embedsignature=False
"""The usual way of a request, compiled: what `incoming.Request` does, in one piece of native code.

:class:`Way` overrides the steps of `incoming.Request`, and :class:`Incoming` the layer around it. Each step
looks first whether the request is a usual one: a sampler, propagators and processors of ours, no failure, a
body in memory, a line that hides nothing. Whatever is not, it leaves to the Python method that it overrides,
whole; nothing stands here alone. tests/contract/test_official_instrumentation.py and the unit tests of
`incoming` run on both, and tests/contract/test_speedups.py holds each signal of the two equal.
"""

import logging
import sys
import threading
from logging import Logger, RootLogger
from random import getrandbits
from time import perf_counter

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_SetItem, PyDict_Update
from cpython.long cimport PyLong_AsUnsignedLongLongMask
from cpython.object cimport PyObject, PyTypeObject
from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy
from posix.time cimport CLOCK_REALTIME, clock_gettime, timespec
from posix.unistd cimport write as write_to

import flask.globals
from opentelemetry import context as contexts
from opentelemetry import propagate
from opentelemetry.context import Context
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.instrumentation import propagators
from opentelemetry.sdk.trace import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import NonRecordingSpan, NoOpTracer, SpanContext, SpanKind, get_current_span
from opentelemetry.trace.span import DEFAULT_TRACE_STATE
from prometheus_client.samples import Exemplar
from werkzeug.wsgi import ClosingIterator

from observability.http import conventions, exceptions, incoming
from observability.logs import handler as logs
from observability.traces import b3, otlp, propagation, spans
from observability.traces import provider as tracing
from observability.http.access_line import MAX_AGENT, MAX_PATH, logger
from observability.http.access_line import REMEMBERED as _REMEMBERED
from observability.http.conventions import OTHER
from observability.logs.lines import JsonLines, second
from observability.exemplars import promised
from observability.logs.handler import LineHandler
from observability.traces.propagation import SPAN_IN_CONTEXT, TRACE_RESPONSE, Chosen
from observability.traces.keeper import Keeper
from observability.traces.sampling import HeadSampler
from observability.traces.tracer import FLAGS as _FLAGS
from observability.traces.tracer import SpanTracer
from observability.traces.spans import RecordedSpan

cdef extern from "Python.h":
    object PyObject_GenericGetDict(object, void*)

cdef str KEY = incoming.KEY
cdef str SPAN_KEY = exceptions.SPAN_KEY
cdef str SEEN = exceptions.SEEN
cdef object UNKNOWN = conventions.UNKNOWN
cdef object UNSET = spans.UNSET
cdef tuple NOTHING = ()
cdef object NO_ATTRIBUTES = incoming.Request._attributes
cdef object UNMATCHED = incoming.Request._route
cdef tuple FLAGS = _FLAGS
cdef object SERVER = SpanKind.SERVER
cdef object INFO = 20, WARNING = 30, ERROR = 40
cdef Py_ssize_t LONGEST = spans.LONGEST
cdef object CURRENT = None
"""What holds the current context, unless OTEL_PYTHON_CONTEXT names something else."""
if type(contexts._RUNTIME_CONTEXT) is ContextVarsRuntimeContext:
    CURRENT = contexts._RUNTIME_CONTEXT._current_context
cdef object CONTEXT = flask.globals._cv_request
cdef tuple ANYTHING = (KEY,)
"""Headers of a propagator that is not one of ours: there is always one of them."""
cdef str DECISION = b3.DECISION
cdef object DROP = Decision.DROP
cdef dict PROPAGATE = propagate.__dict__, PROPAGATORS = propagators.__dict__, LOGGING = logging.__dict__, SYS = sys.__dict__
"""What these modules hold may be replaced at any time."""
cdef enum: BOUNDS = 64
"""Buckets of a histogram, at most."""
cdef Py_ssize_t REMEMBERED = _REMEMBERED
cdef enum: LINE = 4096
"""Bytes of a line that is put together here."""

Python = incoming.Request
"""The class whose methods :class:`Way` overrides."""


# -- small things ---------------------------------------------------------------------------------------------

cdef inline int64_t now() noexcept:
    """Nanoseconds since the epoch."""
    cdef timespec read
    clock_gettime(CLOCK_REALTIME, &read)
    return <int64_t> read.tv_sec * 1_000_000_000 + read.tv_nsec


cdef inline char* put(char* at, bytes text) noexcept:
    cdef Py_ssize_t size = PyBytes_GET_SIZE(text)
    memcpy(at, PyBytes_AS_STRING(text), size)
    return at + size


cdef bytes client_port(given):
    """The field of the attribute `client.port`; nothing where there is no such number."""
    cdef char field[32]
    cdef char* at
    cdef uint64_t rest
    if not given:
        return b""
    try:
        number = int(given)
    except (ValueError, TypeError):
        return b""
    if not 0 <= number < 1 << 16:
        raise ValueError(given)
    at = put(field, b"\x4a\x00\x0a\x0bclient.port\x12\x00\x18")
    rest = number
    while rest > 127:
        at[0] = <char> (rest & 127 | 128)
        at += 1
        rest >>= 7
    at[0] = <char> rest
    at += 1
    field[1] = <char> (at - field - 2)
    field[16] = <char> (at - field - 17)
    return PyBytes_FromStringAndSize(field, at - field)


cdef inline char* put_digits(char* at, uint64_t number, int digits) noexcept:
    """Hexadecimal digits."""
    cdef int place
    for place in range(digits - 1, -1, -1):
        at[place] = b"0123456789abcdef"[number & 15]
        number >>= 4
    return at + digits


cdef inline char* put_hex(char* at, uint64_t number) noexcept:
    return put_digits(at, number, 16)


cdef inline char* put_big(char* at, uint64_t number) noexcept:
    """8 bytes, the highest first."""
    cdef int place
    for place in range(7, -1, -1):
        at[place] = <char> (number & 0xFF)
        number >>= 8
    return at + 8


cdef char* put_decimal(char* at, uint64_t number, int digits) noexcept:
    """A number with at least so many digits."""
    cdef char backwards[20]
    cdef int size = 0
    while number or size < digits:
        backwards[size] = b"0123456789"[number % 10]
        number //= 10
        size += 1
    while size:
        size -= 1
        at[0] = backwards[size]
        at += 1
    return at


cdef inline made(kind, base, tuple given):
    """`base.__new__(kind, *given)`."""
    return (<PyTypeObject*> base).tp_new(kind, <PyObject*> given, NULL)


cdef inline dict fields(instance):
    """What an instance of a class in Python holds: half the price of asking for its attributes."""
    return <dict> PyObject_GenericGetDict(instance, NULL)


cdef str hexadecimal(uint64_t high, uint64_t low, bint both):
    cdef char digits[32]
    cdef char* end = put_hex(put_hex(digits, high), low) if both else put_hex(digits, high)
    return PyUnicode_DecodeASCII(digits, end - digits, NULL)


cdef sole_handler():
    """As `logs.sole_handler(logger)`."""
    cdef dict held, own
    above, found = logger, None
    if LOGGING["_logRecordFactory"] is not LOGGING["LogRecord"]:
        return None
    while above is not None:
        if type(above) is not Logger and type(above) is not RootLogger:
            return logs.sole_handler(logger)
        held = fields(above)
        if above is logger and (held["disabled"] or held["filters"]):
            return None
        for handler in held["handlers"]:
            if found is not None or type(handler) is not LineHandler:
                return None
            own = fields(handler)
            if own["filters"] or own["level"]:
                return None
            found = handler
        above = held["parent"] if held["propagate"] else None
    return found if found is not None and type(fields(found)["formatter"]) is JsonLines else None


cdef class Value:
    """A value of prometheus_client, for which the interpreter's lock is enough."""

    cdef double value, seen, when
    cdef uint64_t trace_high, trace_low, span_id
    cdef object given
    cdef bint marked

    def __init__(self, before):
        """As `before`, which it takes the place of; no other thread and no signal has a turn meanwhile."""
        cdef dict held = fields(before)
        self.value, self.given = held["_value"], held.get("_exemplar")

    def inc(self, double amount):
        self.value += amount

    def set(self, double value, timestamp=None):
        self.value = value

    def set_exemplar(self, exemplar):
        self.given, self.marked = exemplar, False

    def get(self):
        return self._value

    def get_exemplar(self):
        return self._exemplar

    @property
    def _value(self):
        return self.value

    @property
    def _exemplar(self):
        if not self.marked:
            return self.given
        labels = {
            "trace_id": hexadecimal(self.trace_high, self.trace_low, True),
            "span_id": hexadecimal(self.span_id, 0, False),
        }
        return Exemplar(labels, self.seen, self.when)


# -- the layer ------------------------------------------------------------------------------------------------

cdef class Incoming:
    """WSGI middleware around a Flask application; see `incoming.Incoming`, which `plain` is one of."""

    cdef object application, plain, kind
    cdef readonly object parts
    cdef object tracer, metrics, lines, conventions
    cdef dict methods, series, shared, shown
    cdef object lock
    cdef bint captures, excludes
    cdef double bounds[BOUNDS]
    # What was found to be usual, and by what it is seen that it still is.
    cdef object processor, processors, config, queue, scope, textmap, headers
    cdef bint ours, follows, keeps, every
    cdef uint64_t bound
    cdef int random
    cdef int64_t slow
    cdef object writer
    cdef dict written
    cdef int64_t known_second
    cdef bytes shown_second

    def __init__(self, application, parts, kind, plain):
        self.application, self.parts, self.kind, self.plain = application, parts, kind, plain
        self.tracer, self.metrics, self.lines, self.conventions = parts
        self.methods, self.series, self.shown, self.written = {}, {}, {}, {}
        self.shared = self.conventions._shared
        self.lock = threading.Lock()
        self.captures = self.conventions._captures_request or self.conventions.captures_response
        self.excludes = self.conventions.excluded is not None
        if len(self.metrics.bounds) > BOUNDS:
            raise ValueError(f"a histogram of {len(self.metrics.bounds)} buckets: {BOUNDS} are possible")
        for place, bound in enumerate(self.metrics.bounds):
            self.bounds[place] = bound
        self.processor = self.tracer.span_processor if type(self.tracer) is SpanTracer else None

    def __call__(self, environ, start_response):
        cdef Way way
        cdef tuple method
        cdef Value active
        if type(environ) is not dict:
            return self.plain(environ, start_response)
        way = <Way> made(self.kind, Way, NOTHING)
        way.lane = self
        way.parts = self.parts
        way._lines = self.lines
        way._environ = <dict> environ
        way._start_response = start_response
        way._arrived = now()
        way._began = perf_counter()
        way.outer = (<dict> environ).get(KEY)
        (<dict> environ)[KEY] = way
        method = self.method((<dict> environ).get("REQUEST_METHOD", ""))
        way.method = method[0]
        active = <Value> method[1]
        active.value += 1
        way.active = active
        try:
            return way.whole(self.application(environ, way.start))
        except BaseException as error:
            way.failed(error)
            raise

    cdef tuple method(self, given):
        """The method as a label, and the gauge of its requests in flight."""
        found = self.methods.get(given)
        if found is None:
            shown = self.conventions.method(given)
            gauge = self.metrics.gauge(shown)
            with self.lock:
                if type(gauge._value) is not Value:
                    gauge._value = Value(gauge._value)
            found = shown, gauge._value
            if len(self.methods) < 64:  # a client may make up any number of them
                self.methods[given] = found
        return <tuple> found

    cdef list of(self, tuple labels):
        """The sum and the buckets of requests with these labels."""
        found = self.series.get(labels)
        if found is None:
            with self.lock:  # else the values of one thread would take the place of those of another
                child = self.metrics.series(labels)
                if type(child._sum) is not Value:
                    child._sum, child._buckets = Value(child._sum), [Value(bucket) for bucket in child._buckets]
                found = self.series[labels] = [child._sum, *child._buckets]
        return <list> found

    cdef bint usual(self):
        """Whether spans are ours, and one queue of ours is all that wants them, if anything does."""
        if self.processor is None:
            return False
        processors, config = fields(self.processor)["_span_processors"], fields(self.tracer)["_tracer_config"]
        if processors is not self.processors or config is not self.config:
            self.look(self.tracer, processors)
            self.processors, self.config = processors, config  # others, with every change
        return self.ours

    cdef int look(self, tracer, shown) except -1:
        queue = tracing.sole_queue(self.processor)
        ours = (
            (queue is not None or not shown)
            and type(tracer._head) is HeadSampler
            and type(tracer.id_generator) is RandomIdGenerator
            and tracer.roomy
            and tracer._is_enabled()
        )
        bound, follows, left_out = tracer._head.rule() if ours else (0, False, DROP)
        slow = shown[0].slow if queue is not None and type(shown[0]) is Keeper else -1
        random, scope = tracer._random, tracer.scope
        # From here on no other thread has a turn until all of it is known.
        self.queue, self.ours, self.follows, self.slow = queue, ours, follows, slow
        self.random, self.scope, self.keeps, self.every = random, scope, left_out is not DROP, bound >= 1 << 64
        self.bound = 0 if self.every else bound
        return 0

    cdef tuple read(self, textmap):
        """The headers that a propagator reads."""
        if textmap is not self.textmap:
            self.headers = textmap.headers if type(textmap) is Chosen else ANYTHING
            self.textmap = textmap
        return <tuple> self.headers

    cdef bytes encoded(self, Way way, Fields span, int64_t ended):
        """`otlp.encoded()` of a span whose attributes are those of its request; None where it has more."""
        cdef dict environ = way._environ
        cdef bytes shared, path, query, port, status, name
        cdef Py_ssize_t size
        cdef char* at
        path_given, query_given = environ.get("PATH_INFO", ""), environ.get("QUERY_STRING", "")
        if self.captures or len(path_given) + len(query_given) > LONGEST:
            return None
        found = self.shared.get((
            environ.get("REQUEST_METHOD"), environ.get("wsgi.url_scheme"), environ.get("HTTP_HOST"),
            environ.get("SERVER_PORT"), way._rule, environ.get("REMOTE_ADDR"), environ.get("REMOTE_HOST"),
            environ.get("HTTP_USER_AGENT"), environ.get("SERVER_PROTOCOL"),
        ))
        if found is None:
            found = self.conventions._shared_of(environ, way._rule)
        if (<tuple> found)[1] is None:
            return None
        try:
            path = conventions._path(path_given) if path_given else b""
            query = conventions._query(query_given) if query_given else b""
        except ValueError:
            return None
        shared, status = (<tuple> found)[1], (<tuple> way._outcome)[3]
        name = otlp._name_and_kind(span._name, SERVER._value_)
        port = client_port(environ.get("REMOTE_PORT"))
        size = 28 + len(name) + 18 + (10 if way.parented else 0)
        size += len(shared) + len(path) + len(query) + len(port) + len(status) + 8
        if size >= 1 << 14:
            return None
        encoded = PyBytes_FromStringAndSize(NULL, (2 if size < 128 else 3) + size)
        at = put(PyBytes_AS_STRING(encoded), b"\x12")  # ScopeSpans.spans
        if size >= 128:
            at[0] = <char> (size & 127 | 128)
            at += 1
        at[0] = <char> (size if size < 128 else size >> 7)
        at = put(at + 1, b"\x0a\x10")
        at = put_big(put_big(at, way.trace_high), way.trace_low)
        at = put_big(put(at, b"\x12\x08"), way.span_id)
        at = put(at, name)
        at[0] = 0x39
        memcpy(at + 1, &way._arrived, 8)
        at[9] = 0x41
        memcpy(at + 10, &ended, 8)
        at += 18
        if way.parented:
            at = put_big(put(at, b"\x22\x08"), way.parent_id)
        at = put(put(put(put(put(at, shared), path), query), port), status)
        put(put(at, b"\x7a\x00"), <bytes> otlp._FLAGS[way.remote])
        return encoded

    cdef bint wrote(self, Way way, Py_ssize_t size) except -1:
        """Write the access line of a request; False where it has to be looked at more closely."""
        cdef double seconds = perf_counter() - way._began
        cdef dict own, environ = way._environ
        cdef int status = (<tuple> way._outcome)[0]
        cdef str severity = "INFO" if status < 400 else "WARN" if status < 500 else "ERROR"
        cdef tuple around
        cdef uint64_t micros
        cdef char line[LINE]
        cdef char* at
        level = INFO if status < 400 else WARNING if status < 500 else ERROR
        own = fields(logger)
        if seconds < 0 or type(logger) is not Logger or "isEnabledFor" in own:
            return False
        enabled = (<dict> own["_cache"]).get(level)
        if not (logger.isEnabledFor(level) if enabled is None else enabled):
            return True
        handler = sole_handler()
        if handler is None:
            return False
        asked = (
            environ.get("REQUEST_METHOD"), way._route, environ.get("SCRIPT_NAME"), environ.get("PATH_INFO"), status,
            environ.get("REMOTE_ADDR"), environ.get("QUERY_STRING"), environ.get("HTTP_USER_AGENT"),
        )
        found = self.shown.get(asked) or self.around(way, severity, asked)
        if found is None:
            return False
        around = <tuple> found
        at = self.put_time(put(line, b'{"timestamp":"'))
        at = put(at, <bytes> around[0])
        micros = <uint64_t> (seconds * 1e6 + 0.5)
        at = put(put_decimal(at, size, 1), b',"http.server.request.duration":')
        at = put(put_decimal(at, micros // 1_000_000, 1), b".")
        at = put(put_decimal(at, micros % 1_000_000, 6), <bytes> around[1])
        if way.valid:
            at = put_hex(put_hex(put(at, b',"trace_id":"'), way.trace_high), way.trace_low)
            at = put(put_hex(put(at, b'","span_id":"'), way.span_id), b'"')
        at = put(at, b"}\n")
        self.write(fields(handler)["writer"], PyBytes_FromStringAndSize(line, at - line), severity)
        return True

    cdef around(self, Way way, str severity, asked):
        """What stands between the time and the body's size, and after the duration; None as in `wrote`."""
        answered = way._answered()
        shared = self.lines.around(answered)
        if shared is None:
            return None
        before, after = shared
        found = f'Z","severity":"{severity}",{before}'.encode(), after.encode()
        if len(found[0]) + len(found[1]) > LINE - 512:
            return None
        if len(answered.path) < MAX_PATH and len(answered.query or "") < MAX_PATH and len(answered.agent or "") < MAX_AGENT:
            if len(self.shown) >= REMEMBERED:
                self.shown.clear()
            self.shown[asked] = found  # nothing in it was cut: it is no longer than the line
        return found

    cdef char* put_time(self, char* at) except NULL:
        """The time to the microsecond; all but the fraction is made once a second."""
        cdef int64_t moment = now()
        cdef int64_t whole = moment // 1_000_000_000
        if whole != self.known_second:
            self.shown_second = second(whole).encode()
            self.known_second = whole
        return put_decimal(put(put(at, self.shown_second), b"."), moment % 1_000_000_000 // 1000, 6)

    cdef int write(self, writer, bytes line, str severity) except -1:
        """As `LineWriter.write`: at once, where nothing waits."""
        cdef Py_ssize_t size = PyBytes_GET_SIZE(line)
        cdef Py_ssize_t taken = 0
        cdef dict held = fields(writer), ready
        lock = held["_lock"]
        lock.acquire()
        try:
            opened = held["_open"]
            if opened is not None and not held["_waiting"]:
                ready = fields(opened)
                if (
                    ready["whole"] and not ready["torn"]
                    and ready["stream"] is (held["_stream"] or SYS.get("stdout"))
                ):
                    taken = write_to(ready["descriptor"], PyBytes_AS_STRING(line), size)  # see held_write.py
            if taken != size:
                writer.write(line, severity, max(taken, 0))
                return 0
        finally:
            lock.release()
        if writer is not self.writer:
            self.writer, self.written = writer, {}
        written = self.written  # another thread may have another writer, by the time that a new one is asked
        value = written.get(severity)
        if value is None:
            with lock:  # so nobody counts a line meanwhile
                counter = writer.count(severity)
                if type(counter._value) is not Value:
                    counter._value = Value(counter._value)
                value = written[severity] = counter._value
        (<Value> value).value += 1
        return 0


# -- around the view ------------------------------------------------------------------------------------------

def dispatched(dispatch):
    """As `incoming.dispatched`."""
    cdef Way way
    context = CONTEXT.get()
    asked = context.request
    found = asked.environ.get(KEY)
    if not isinstance(found, Way) or (<Way> found).lane.excludes:
        return incoming.dispatched(dispatch)
    way = <Way> found
    if way.span is not None:
        return dispatch()
    way.started(asked.url_rule, <size_t> <void*> context)
    response = dispatch()
    way.plain = isinstance(response.response, (list, tuple)) and not response._on_close
    return response


def torn_down(tear_down, *error):
    """As `incoming.torn_down`."""
    try:
        tear_down(*error)
    finally:
        context = CONTEXT.get()
        found = context.request.environ.get(KEY)
        if isinstance(found, Way):
            (<Way> found).ended(error[0] if error else sys.exc_info()[1], <size_t> <void*> context)
        elif found is not None:
            found.end(error[0] if error else sys.exc_info()[1], id(context))


# -- a span ---------------------------------------------------------------------------------------------------

cdef class Fields:
    """What a span consists of; the names are those of `spans.RecordedSpan`, before which it stands."""

    cdef public object _tracer, _name, _context, _parent, _kind, _start_time, _end_time, _later
    cdef public object _attributes, _events, _links, _status, local_slow, _local_trace
    cdef public Py_ssize_t _dropped
    cdef public bint _record_exception, _set_status_on_exception, _ending

    def __cinit__(self):
        self._events = self._links = NOTHING
        self._status = UNSET
        self._record_exception = self._set_status_on_exception = True

    cdef inline bint untouched(self):
        """Whether there is nothing to it but its request, and nobody ends or has ended it."""
        return (
            self._attributes is None and self._status is UNSET and self._events is NOTHING and self._links is NOTHING
            and not self._ending
        )


class NativeSpan(Fields, RecordedSpan):
    """A span of a request of the usual way."""

    __slots__ = ()

    def __copy__(self):
        copied = RecordedSpan.__new__(RecordedSpan)
        for name in vars(Fields):
            if not name.startswith("__"):
                setattr(copied, name, getattr(self, name))
        vars(copied).update(vars(self))
        return copied


# -- a request ------------------------------------------------------------------------------------------------

cdef class Way:
    """One request; the names are those of `incoming.Request`, before which it stands."""

    cdef Incoming lane
    cdef public dict _environ
    cdef public object parts, span, method, outer, active, resumed, _noted
    cdef public object _lines, _start_response, _headers, _length, _route, _rule, _outcome, _attributes, _token
    cdef public int64_t _arrived
    cdef public double _began
    cdef public size_t _context_id
    cdef public int _status
    cdef public Py_ssize_t size
    cdef public bint plain, excluded, open, _done
    cdef object known_ids
    cdef uint64_t trace_high, trace_low, span_id, parent_id
    cdef int flags
    cdef Fields own
    """The span, where it was begun here and records."""
    cdef bint ours, valid, identified
    """Whether the span was begun here and has an identity, and whether the response began here."""
    cdef bint parented, remote, stateful

    def __cinit__(self):
        self._headers = ()
        self._route = UNMATCHED
        self._outcome = UNKNOWN
        self._attributes = NO_ATTRIBUTES

    @property
    def ids(self):
        """As `access.Exchange.ids`."""
        if self.known_ids is None and self.identified and self.valid:
            trace_id = hexadecimal(self.trace_high, self.trace_low, True)
            self.known_ids = trace_id, hexadecimal(self.span_id, 0, False)
        return self.known_ids

    @ids.setter
    def ids(self, given):
        self.known_ids = given

    # -- around the view --------------------------------------------------------------------------

    def begin(self, rule, size_t context_id):
        self.started(rule, context_id)

    cdef int started(self, rule, size_t context_id) except -1:
        if self.begun(rule):
            self._context_id = context_id
        else:
            Python.begin(self, rule, context_id)

    cdef bint begun(self, rule) except -1:
        cdef Incoming lane = self.lane
        tracer = lane.tracer
        if CURRENT is None or CURRENT.get() or not (type(tracer) is NoOpTracer or lane.usual()):
            return False
        context = None
        for header in lane.read(PROPAGATE["_HTTP_TEXT_FORMAT"]):
            if header in self._environ:
                context = propagation.extract(self._environ)
                if DECISION in context:
                    return False
                break
        if rule is not None:
            self._rule = self._route = rule.rule
        if type(tracer) is NoOpTracer:
            self.span = tracer.start_span("", context)
            self.identify(self.span.get_span_context())
        else:
            self.sample(tracer, context)
        self._environ[SPAN_KEY] = self.span
        self.ours = True
        current = made(Context, dict, NOTHING)
        if context:
            PyDict_Update(current, context)
        PyDict_SetItem(current, SPAN_IN_CONTEXT, self.span)
        self._token = CURRENT.set(current)
        return True

    cdef int identify(self, identity) except -1:
        """Take over the identity of a span."""
        trace_id, self.span_id, _, flags, _, self.valid = identity
        self.trace_high, self.trace_low = trace_id >> 64, PyLong_AsUnsignedLongLongMask(trace_id)
        self.flags = flags & 0xFF

    cdef int sample(self, tracer, context) except -1:
        """As `SpanTracer.start_span`."""
        cdef Incoming lane = self.lane
        cdef bint sampled
        parent = state = None
        if context:
            parent = get_current_span(context).get_span_context()
            if not parent.is_valid:
                parent = None
        if parent is None:
            self.flags = lane.random
            trace_id = 0
            while not trace_id:
                trace_id = getrandbits(128)
        else:
            trace_id, state = parent.trace_id, parent.trace_state
            self.flags = parent.trace_flags & 2
            self.parented, self.parent_id, self.remote = True, parent.span_id, parent.is_remote
        self.trace_high, self.trace_low = trace_id >> 64, PyLong_AsUnsignedLongLongMask(trace_id)
        if parent is not None and lane.follows:
            sampled = parent.trace_flags & 1
        else:
            sampled = lane.every or self.trace_low < lane.bound
        span_id = 0
        while not span_id:
            span_id = getrandbits(64)
        self.span_id = span_id
        self.flags |= sampled
        self.valid = True
        self.stateful = bool(state)
        identity = made(SpanContext, tuple, ((
            trace_id, span_id, False, FLAGS[self.flags], DEFAULT_TRACE_STATE if state is None else state, True,
        ),))
        if sampled or lane.keeps:
            self.own = self.span = self.recorded(identity, parent, context)
        else:
            self.span = NonRecordingSpan(identity)

    cdef Fields recorded(self, identity, parent, context):
        """The span that `SpanTracer.start_span` would answer."""
        cdef Incoming lane = self.lane
        cdef Fields span = <Fields> made(NativeSpan, Fields, NOTHING)
        shown = "HTTP" if self.method == OTHER else self.method
        span._tracer = lane.tracer
        span._name = shown if self._rule is None else f"{shown} {self._rule}"
        span._context = identity
        span._parent = parent
        span._kind = SERVER
        span._later = self
        span._start_time = self._arrived
        if self.flags & 1 == 0:
            if lane.slow >= 0 and (self.remote or not self.parented):
                span.local_slow = lane.slow  # as `Keeper.on_start` of what has no parent in this process
            else:
                lane.processor.on_start(span, parent_context=Context() if context is None else context)
        return span

    def end(self, escaping, size_t context_id):
        self.ended(escaping, context_id)

    cdef int ended(self, escaping, size_t context_id) except -1:
        if context_id != self._context_id:
            return 0
        token = self._token
        if (
            token is None or not self.ours or not self.plain or escaping is not None or SEEN in self._environ
        ):
            Python.end(self, escaping, context_id)
            return 0
        self._token = None
        self._context_id = 0
        if self.outer is None:
            self._environ.pop(KEY, None)
        else:
            self.leave()
        try:
            CURRENT.reset(token)
        except Exception:
            contexts.detach(token)  # fails likewise, and says so in the log
        if self.own is not None:
            self.end_span(self.own)
        return 0

    cdef int end_span(self, Fields span) except -1:
        """What `RecordedSpan.end` does, where there is nothing to the span but its request."""
        cdef Incoming lane = self.lane
        cdef int64_t moment
        if (
            self.stateful or not lane.ours or fields(lane.processor)["_span_processors"] is not lane.processors
            or not span.untouched()
        ):
            self.span.end()
            return 0
        moment = now()
        span._end_time = moment  # no other thread has had a turn since it was looked at
        if self.flags & 1:
            try:
                encoded = lane.encoded(self, span, moment) if lane.queue is not None else None
            except Exception:
                encoded = None  # the queue finds the same, counts the span as lost and says why
            if encoded is None:
                lane.processor.on_end(span)
            else:
                lost = lane.queue.take((lane.scope, encoded))
                if lost is not None:
                    lane.queue.lost(1, lost)
        elif lane.slow < 0 or span._local_trace is not None or moment - self._arrived > lane.slow:
            lane.processor.on_end(span)
        else:
            span.local_slow = None  # as `Keeper.on_end` of a root that was uneventful
        span._later = None
        return 0

    # -- the response -----------------------------------------------------------------------------

    def start(self, status, headers, exc_info=None):
        if not self.responded(status, headers):
            self.answer(status, headers)
        if exc_info:
            return self._start_response(status, headers, exc_info)
        return self._start_response(status, headers)

    cdef bint responded(self, status, headers) except -1:
        cdef char value[55]
        cdef char* at
        if not self.ours or self.lane.captures or PROPAGATORS["_RESPONSE_PROPAGATOR"] is not None:
            return False
        outcome = conventions.outcome(status)
        code, failed, attributes, _, _ = <tuple> outcome
        if failed or self.known_ids is not None or (self.own is not None and self.own._attributes is not None):
            return False
        rule = getattr(self._environ.get("werkzeug.request"), "url_rule", None)
        if rule is not None:
            self._route = rule.rule
        self._outcome, self._status, self._attributes = outcome, code, attributes
        self._headers = headers
        self.identified = True
        if not self.valid:
            return True
        at = put_hex(put_hex(put(value, b"00-"), self.trace_high), self.trace_low)
        at = put_digits(put(put_hex(put(at, b"-"), self.span_id), b"-"), self.flags | self.promised(), 2)
        headers.append((TRACE_RESPONSE, PyUnicode_DecodeASCII(value, 55, NULL)))
        return True

    def measure(self):
        self.measured()

    cdef int measured(self) except -1:
        cdef double seconds = perf_counter() - self._began
        cdef Incoming lane = self.lane
        cdef list values
        cdef Value sum, bucket
        cdef int place = 0
        if self.excluded or (self.span is None and lane.excludes):
            return 0
        values = lane.of((self.method, self._route, (<tuple> self._outcome)[4]))
        while seconds > lane.bounds[place]:  # the last is infinite
            place += 1
        sum = <Value> values[0]
        bucket = <Value> values[1 + place]
        sum.value += seconds
        bucket.value += 1
        if (self.own is not None and self.promised()) if self.identified and self._noted is None else self.pointed():
            bucket.trace_high, bucket.trace_low, bucket.span_id = self.trace_high, self.trace_low, self.span_id
            bucket.seen, bucket.when = seconds, now() * 1e-9
            bucket.marked = True
        return 0

    cdef bint promised(self) except -1:
        """`local_trace.promised()` of a span that was begun here."""
        cdef Fields span = self.own
        if self.flags & 1 or span is None:
            return self.flags & 1
        if span._local_trace is None:
            slow = span.local_slow
            if slow is None or (span._status is UNSET and now() - self._arrived <= <int64_t> slow):
                return False
        return promised(span)

    cdef bint pointed(self) except -1:
        """Take the ids of an exemplar from the Python code; False where there is to be none."""
        found = self._exemplar()
        if found is None:
            return False
        self.trace_high, self.trace_low = int(found["trace_id"][:16], 16), int(found["trace_id"][16:], 16)
        self.span_id = int(found["span_id"], 16)
        return True

    def handed_on(self, body):
        return self.whole(body)

    cdef whole(self, body):
        if not self.plain or type(body) is not ClosingIterator:
            return Python.handed_on(self, body)
        pieces = list(body)
        body.close()
        for piece in pieces:
            self.size += len(piece)
        self.written()
        return pieces

    def finished(self):
        self.written()

    cdef int written(self) except -1:
        if self._done:
            return 0
        if not self.identified or not self.plain or self.open:
            Python.finished(self)
            return 0
        self._done = True
        self.measured()
        (<Value> self.active).value -= 1
        if not self.lane.wrote(self, self.size):
            self._lines.write(self._answered())
        return 0
