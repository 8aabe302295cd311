package io.github.streamproc.plugin;

import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/** One input record. What it returns are copies; a null is a null in Kafka. */
public final class Record {
    private final byte[] batch;
    private int at;

    Record(byte[] batch) { this.batch = batch; }

    void move(int to) { at = to; }

    public byte[] key() { return Batch.bytes(batch, at); }

    public byte[] value() { return Batch.bytes(batch, at + 8); }

    /** The value as UTF-8. */
    public String text() { return text(value()); }

    /** Milliseconds since 1970. */
    public long timestamp() { return Batch.i64(batch, at + 24); }

    public long offset() { return Batch.i64(batch, at + 32); }

    public int partition() { return Batch.i32(batch, at + 40); }

    /** The place of its topic in the topics of the start message. */
    public int topic() { return Batch.u16(batch, at + 44); }

    /** All headers; of several with one name the last. */
    public Map<String, byte[]> headers() {
        Map<String, byte[]> all = new LinkedHashMap<>();
        int entry = Batch.i32(batch, at + 16);
        for (int n = Batch.i32(batch, at + 20); n > 0; n--, entry += 16) {
            all.put(text(Batch.bytes(batch, entry)), Batch.bytes(batch, entry + 8));
        }
        return all;
    }

    private static String text(byte[] b) { return b == null ? null : new String(b, StandardCharsets.UTF_8); }
}
