# cython: language_level=3, boundscheck=False, wraparound=False, embedsignature=False
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
from bisect import bisect_left
from random import getrandbits
from time import perf_counter

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.stdint cimport int64_t, uint64_t
from libc.stdio cimport snprintf
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
from opentelemetry.trace.propagation import _SPAN_KEY
from opentelemetry.trace.span import DEFAULT_TRACE_STATE
from prometheus_client.samples import Exemplar
from werkzeug.wsgi import ClosingIterator

from observability import conventions, exceptions, incoming, otlp, propagation, spans, tracing
from observability.access_line import MAX_AGENT, MAX_PATH, logger
from observability.access_line import REMEMBERED as _REMEMBERED
from observability.conventions import OTHER
from observability.lines import JsonLines, second
from observability.local_trace import promised
from observability.logs import LineHandler
from observability.propagation import TRACE_RESPONSE, Chosen
from observability.retention import Keeper
from observability.sampling import HeadSampler
from observability.span_tracer import FLAGS as _FLAGS
from observability.span_tracer import SpanTracer
from observability.spans import RecordedSpan

cdef str KEY = incoming.KEY
cdef str SPAN_KEY = exceptions.SPAN_KEY
cdef str SEEN = exceptions.SEEN
cdef object UNKNOWN = conventions.UNKNOWN
cdef object UNSET = spans.UNSET
cdef object NOTHING = incoming.Request._attributes
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
cdef object LOW = (1 << 64) - 1
cdef object DROP = Decision.DROP
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


cdef str hexadecimal(uint64_t high, uint64_t low, bint both):
    cdef char digits[32]
    cdef char* end = put_hex(put_hex(digits, high), low) if both else put_hex(digits, high)
    return PyUnicode_DecodeASCII(digits, end - digits, NULL)


cdef sole_handler():
    """As `logs.sole_handler(logger)`."""
    if logger.disabled or logger.filters or logging._logRecordFactory is not logging.LogRecord:
        return None
    above, found = logger, None
    while above is not None:
        for handler in above.handlers:
            if found is not None or type(handler) is not LineHandler or handler.filters or handler.level:
                return None
            found = handler
        above = above.parent if above.propagate else None
    return found if found is not None and type(found.formatter) is JsonLines else None


cdef int add(value, double amount) except -1:
    """What `inc()` of a value of prometheus_client does."""
    lock = value._lock
    lock.acquire()
    value._value = <double> value._value + amount
    lock.release()
    return 0


cdef class Value:
    """A value of prometheus_client, for which the interpreter's lock is enough."""

    cdef double value, seen, when
    cdef uint64_t trace_high, trace_low, span_id
    cdef object given
    cdef bint marked

    def __init__(self, before):
        """As `before`, which it takes the place of."""
        self.value = before.get()
        self.given = before.get_exemplar()

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
    cdef bint captures
    # What was found to be usual, and by what it is seen that it still is.
    cdef object processors, config, queue
    cdef bint ours, follows
    cdef object bound, left_out
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

    def __call__(self, environ, start_response):
        cdef Way way
        cdef tuple method
        cdef Value active
        if type(environ) is not dict:
            return self.plain(environ, start_response)
        way = self.kind.__new__(self.kind)
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
        try:
            body = self.application(environ, way.start)
            way.measure()
        except BaseException:
            way.failed()
            raise
        finally:
            active.value -= 1
        return way.handed_on(body)

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
        tracer = self.tracer
        if type(tracer) is not SpanTracer:
            return False
        processors, config = tracer.span_processor._span_processors, tracer._tracer_config
        if processors is not self.processors or config is not self.config:
            self.look(tracer, processors)
            self.processors, self.config = processors, config  # others, with every change
        return self.ours

    cdef int look(self, tracer, shown) except -1:
        self.queue = tracing.sole_queue(tracer.span_processor)
        self.slow = shown[0].slow if self.queue is not None and type(shown[0]) is Keeper else -1
        self.ours = (
            (self.queue is not None or not shown)
            and type(tracer._head) is HeadSampler
            and type(tracer.id_generator) is RandomIdGenerator
            and tracer.roomy
            and tracer._is_enabled()
        )
        if self.ours:
            self.bound, self.follows, self.left_out = tracer._head.rule()

    cdef bytes encoded(self, Way way, span, int64_t ended):
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
        shared, status = (<tuple> found)[1], way._outcome.encoded
        name = otlp._name_and_kind(span._name, span._kind._value_)
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
        cdef dict environ = way._environ
        cdef int status = way._outcome.code
        cdef str severity = "INFO" if status < 400 else "WARN" if status < 500 else "ERROR"
        cdef tuple around
        cdef long long micros
        cdef char line[LINE]
        cdef char* at
        level = INFO if status < 400 else WARNING if status < 500 else ERROR
        enabled = logger._cache.get(level)
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
        micros = <long long> (seconds * 1e6 + 0.5)  # not as %f, which a locale may give a comma
        at += snprintf(
            at, 96, b'%zd,"http.server.request.duration":%lld.%06lld', size, micros // 1_000_000, micros % 1_000_000
        )
        at = put(at, <bytes> around[1])
        if way.valid:
            at = put_hex(put_hex(put(at, b',"trace_id":"'), way.trace_high), way.trace_low)
            at = put(put_hex(put(at, b'","span_id":"'), way.span_id), b'"')
        at = put(at, b"}\n")
        self.write(handler.writer, PyBytes_FromStringAndSize(line, at - line), severity)
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
        at = put(at, self.shown_second)
        return at + snprintf(at, 16, b".%06d", <int> (moment % 1_000_000_000 // 1000))

    cdef int write(self, writer, bytes line, str severity) except -1:
        """As `LineWriter.write`: at once, where nothing waits."""
        cdef Py_ssize_t size = PyBytes_GET_SIZE(line)
        cdef Py_ssize_t taken = 0
        lock = writer._lock
        lock.acquire()
        try:
            opened = writer._open
            if (
                opened is not None and opened.whole and not opened.torn and not writer._waiting
                and opened.stream is (writer._stream or getattr(sys, "stdout", None))
            ):
                taken = write_to(opened.descriptor, PyBytes_AS_STRING(line), size)  # see held_write.py
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
            value = written[severity] = writer.count(severity)._value
        add(value, 1)
        return 0


# -- around the view ------------------------------------------------------------------------------------------

def dispatched(dispatch):
    """As `incoming.dispatched`."""
    cdef Way way
    context = CONTEXT.get()
    asked = context.request
    found = asked.environ.get(KEY)
    if not isinstance(found, Way) or (<Way> found).parts.conventions.excluded is not None:
        return incoming.dispatched(dispatch)
    way = <Way> found
    if way.span is not None:
        return dispatch()
    way.begin(asked.url_rule, <size_t> <void*> context)
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
        if found is not None:
            found.end(error[0] if error else sys.exc_info()[1], <size_t> <void*> context)


# -- a request ------------------------------------------------------------------------------------------------

cdef class Way:
    """One request; the names are those of `incoming.Request`, before which it stands."""

    cdef Incoming lane
    cdef public dict _environ
    cdef public object parts, span, method, outer
    cdef public object _lines, _start_response, _headers, _length, _route, _rule, _outcome, _attributes, _token
    cdef public int64_t _arrived
    cdef public double _began
    cdef public size_t _context_id
    cdef public int _status
    cdef public Py_ssize_t size
    cdef public bint plain, excluded, _done
    cdef object known_ids
    cdef uint64_t trace_high, trace_low, span_id, parent_id
    cdef int flags
    cdef bint ours, recording, valid, identified
    """Whether the span was begun here, records and has an identity, and whether the response began here."""
    cdef bint parented, remote, stateful

    def __cinit__(self):
        self._headers = ()
        self._route = UNMATCHED
        self._outcome = UNKNOWN
        self._attributes = NOTHING

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
        textmap = propagate._HTTP_TEXT_FORMAT
        for header in textmap.headers if type(textmap) is Chosen else ANYTHING:
            if header in self._environ:
                context = propagation.extract(self._environ)
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
        self._token = CURRENT.set(Context({**context, _SPAN_KEY: self.span} if context else {_SPAN_KEY: self.span}))
        return True

    cdef int identify(self, identity) except -1:
        """Take over the identity of a span."""
        trace_id, self.span_id, _, flags, _, self.valid = identity
        self.trace_high, self.trace_low = trace_id >> 64, trace_id & LOW
        self.flags = flags & 0xFF

    cdef int sample(self, tracer, context) except -1:
        """As `SpanTracer.start_span`."""
        parent = state = None
        if context:
            parent = get_current_span(context).get_span_context()
            if not parent.is_valid:
                parent = None
        if parent is None:
            random = tracer._random
            trace_id = 0
            while not trace_id:
                trace_id = getrandbits(128)
        else:
            trace_id, random, state = parent.trace_id, parent.trace_flags & 2, parent.trace_state
            self.parented, self.parent_id, self.remote = True, parent.span_id, parent.is_remote
        if parent is not None and self.lane.follows:
            sampled = parent.trace_flags & 1
        else:
            sampled = trace_id & LOW < self.lane.bound
        span_id = 0
        while not span_id:
            span_id = getrandbits(64)
        identity = tuple.__new__(SpanContext, (
            trace_id, span_id, False, FLAGS[random | (1 if sampled else 0)],
            DEFAULT_TRACE_STATE if state is None else state, True,
        ))
        self.identify(identity)
        self.stateful = bool(state)
        self.recording = sampled or self.lane.left_out is not DROP
        self.span = self.recorded(identity, parent, context) if self.recording else NonRecordingSpan(identity)

    cdef recorded(self, identity, parent, context):
        """The span that `SpanTracer.start_span` would answer."""
        cdef Incoming lane = self.lane
        shown = "HTTP" if self.method == OTHER else self.method
        span = object.__new__(RecordedSpan)
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
                lane.tracer.span_processor.on_start(span, parent_context=Context() if context is None else context)
        return span

    def end(self, escaping, size_t context_id):
        token = self._token
        if token is None or context_id != self._context_id:
            return
        if not self.ours or escaping is not None or SEEN in self._environ:
            Python.end(self, escaping, context_id)
            return
        self._token = None
        if self.outer is None:
            self._environ.pop(KEY, None)
        else:
            self.leave()
        try:
            CURRENT.reset(token)
        except Exception:
            contexts.detach(token)  # fails likewise, and says so in the log
        self.end_span()

    cdef int end_span(self) except -1:
        """What `RecordedSpan.end` does, where there is nothing to the span but its request."""
        cdef Incoming lane = self.lane
        cdef int64_t moment
        span = self.span
        if not self.recording:
            return 0
        if (
            self.stateful or not lane.ours or span._tracer.span_processor._span_processors is not lane.processors
            or span._end_time is not None or span._tracer.lock.locked()
            or span._attributes is not None or span._status is not UNSET
            or span._events or span._links or span._dropped
        ):
            span.end()
            return 0
        span._end_time = moment = now()  # no other thread has had a turn since, nor is within `end`
        if self.flags & 1:
            try:
                encoded = lane.encoded(self, span, moment) if lane.queue is not None else None
            except Exception:
                encoded = None  # the queue finds the same, counts the span as lost and says why
            if encoded is None:
                span._tracer.span_processor.on_end(span)
            else:
                lost = lane.queue.take((span._tracer.scope, encoded))
                if lost is not None:
                    lane.queue.lost(1, lost)
        elif lane.slow < 0 or span._local_trace is not None or moment - self._arrived > lane.slow:
            span._tracer.span_processor.on_end(span)
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
        cdef int flags
        if not self.ours or self.lane.captures or propagators._RESPONSE_PROPAGATOR is not None:
            return False
        outcome = conventions.outcome(status)
        if outcome.failed or self.known_ids is not None or (self.recording and self.span._attributes is not None):
            return False
        rule = getattr(self._environ.get("werkzeug.request"), "url_rule", None)
        if rule is not None:
            self._route = rule.rule
        self._outcome, self._status, self._attributes = outcome, outcome.code, outcome.attributes
        self._headers = headers
        self.identified = True
        if not self.valid:
            return True
        flags = self.flags | self.promised()
        at = put_hex(put_hex(put(value, b"00-"), self.trace_high), self.trace_low)
        at = put_digits(put(put_hex(put(at, b"-"), self.span_id), b"-"), flags, 2)
        headers.append((TRACE_RESPONSE, PyUnicode_DecodeASCII(value, 55, NULL)))
        return True

    def measure(self):
        cdef double seconds = perf_counter() - self._began
        cdef list values
        cdef Value sum, bucket
        if self.span is None:
            return
        values = self.lane.of((self.method, self._route, self._outcome.label))
        sum = <Value> values[0]
        bucket = <Value> values[1 + bisect_left(self.lane.metrics.bounds, seconds)]
        sum.value += seconds
        bucket.value += 1
        if (self.recording and self.promised()) if self.identified else self.pointed():
            bucket.trace_high, bucket.trace_low, bucket.span_id = self.trace_high, self.trace_low, self.span_id
            bucket.seen, bucket.when = seconds, now() * 1e-9
            bucket.marked = True

    cdef bint promised(self) except -1:
        """`local_trace.promised()` of a span that was begun here."""
        span = self.span
        if self.flags & 1 or not self.recording:
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
        if not self.plain or type(body) is not ClosingIterator:
            return Python.handed_on(self, body)
        pieces = list(body)
        body.close()
        for piece in pieces:
            self.size += len(piece)
        self.finished()
        return pieces

    def finished(self):
        if self._done:
            return
        if not self.identified:
            Python.finished(self)
            return
        self._done = True
        if not self.lane.wrote(self, self.size):
            self._lines.write(self._answered())
