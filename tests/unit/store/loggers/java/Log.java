import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.MDC;

/** Two lines of a logger: a warning, and an error with an exception, both of a trace. */
class Log {
    private static void buy() {
        throw new IllegalStateException("gone");
    }

    public static void main(String[] arguments) {
        Logger log = LoggerFactory.getLogger("shop.Orders");
        MDC.put("trace_id", System.getenv("TRACE"));
        MDC.put("span_id", System.getenv("SPAN"));
        log.warn("low {}", "stock");
        try {
            buy();
        } catch (IllegalStateException error) {
            log.error("no {}", "stock", error);
        }
    }
}
