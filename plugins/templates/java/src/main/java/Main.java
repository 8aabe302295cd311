import io.github.streamproc.plugin.Outputs;
import io.github.streamproc.plugin.Plugin;
import io.github.streamproc.plugin.Record;
import io.github.streamproc.plugin.Verdict;

/** NAME: keeps paid orders, and marks them as seen. */
public final class Main {
    private Main() { }

    public static void main(String[] args) { Plugin.handle(Main::handle); }

    static Verdict handle(Record record, Outputs out) {
        String order = record.text();
        if (order == null) { // a tombstone
            return Verdict.KEEP;
        }
        if (!order.startsWith("{")) {
            throw new IllegalArgumentException("the value is not a JSON object");
        }
        if (!order.contains("\"paid\":true")) {
            return Verdict.DROP;
        }
        out.put("{\"seen\":true," + order.substring(1));
        return Verdict.REPLACED;
    }
}
