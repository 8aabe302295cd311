package io.github.streamproc.plugin;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** Collects what stands in for a record. It counts only if the handler answers REPLACED. */
public final class Outputs {
    private byte[] descriptors = new byte[64 * Batch.RECORD];
    private byte[] data = new byte[64 << 10];
    private byte[] whole = new byte[0];
    private int count;
    private int used;
    int source;

    void reset() { count = used = 0; }

    int count() { return count; }

    /** Takes off all but the first n outputs. */
    void back(int n) { count = n; }

    /** Adds an output with a new value, and everything else as in the record. */
    public void put(byte[] value) {
        int at = descriptor();
        Batch.put32(descriptors, at, Batch.INHERIT);
        column(at + 8, value);
    }

    /** Adds an output with a new value, written as UTF-8. */
    public void put(String value) { put(value.getBytes(StandardCharsets.UTF_8)); }

    /** Adds an output with a new key and value. */
    public void put(byte[] key, byte[] value) {
        int at = descriptor();
        column(at, key);
        column(at + 8, value);
    }

    /** Sends the output that was added last to a named output: its place in those of the start message, from 1. */
    public void to(int output) { Batch.put16(descriptors, (count - 1) * Batch.RECORD + 44, output); }

    /** Gives the output that was added last a time of its own. */
    public void at(long timestamp) { Batch.put64(descriptors, (count - 1) * Batch.RECORD + 24, timestamp); }

    /** Starts an output that keeps the record's headers and timestamp. */
    private int descriptor() {
        int at = count++ * Batch.RECORD;
        if (at + Batch.RECORD > descriptors.length) {
            descriptors = Arrays.copyOf(descriptors, 2 * descriptors.length);
        }
        Arrays.fill(descriptors, at, at + Batch.RECORD, (byte) 0);
        Batch.put32(descriptors, at + 16, Batch.INHERIT);
        Batch.put64(descriptors, at + 24, Long.MIN_VALUE);
        Batch.put32(descriptors, at + 40, source);
        return at;
    }

    /** Writes an offset into the data area, which finish moves behind the descriptors. */
    private void column(int at, byte[] b) {
        if (b == null) {
            Batch.put32(descriptors, at + 4, Batch.NULL);
            return;
        }
        if (used + b.length > data.length) {
            data = Arrays.copyOf(data, Math.max(2 * data.length, used + b.length));
        }
        System.arraycopy(b, 0, data, used, b.length);
        Batch.put32(descriptors, at, used);
        Batch.put32(descriptors, at + 4, b.length);
        used += b.length;
    }

    /** Returns the batch in the beginning of an array that is used again for the next; length says how much of it. */
    byte[] finish() {
        int base = Batch.HEADER + count * Batch.RECORD;
        if (length() > whole.length) {
            whole = new byte[length() + length() / 2];
        }
        Batch.put32(whole, 0, Batch.MAGIC);
        Batch.put16(whole, 4, 1);
        Batch.put16(whole, 6, Batch.RECORD);
        Batch.put32(whole, 8, count);
        Batch.put32(whole, 12, length());
        Arrays.fill(whole, 16, Batch.HEADER, (byte) 0);
        System.arraycopy(descriptors, 0, whole, Batch.HEADER, count * Batch.RECORD);
        System.arraycopy(data, 0, whole, base, used);
        for (int at = Batch.HEADER; at < base; at += Batch.RECORD) {
            move(at, base);
            move(at + 8, base);
        }
        return whole;
    }

    int length() { return Batch.HEADER + count * Batch.RECORD + used; }

    private void move(int at, int base) {
        int offset = Batch.i32(whole, at);
        if (offset != Batch.INHERIT) {
            Batch.put32(whole, at, offset + base);
        }
    }
}
