package io.github.streamproc.plugin;

/** The layout of a batch of ABI sp1: little-endian, a header, descriptors, and a data area that they point into. */
final class Batch {
    static final int MAGIC = 0x31425053;
    static final int HEADER = 32;
    static final int RECORD = 48;
    static final int NULL = -1;
    static final int INHERIT = 1 << 31;
    static final int KEEP = 0, DROP = 1, FAIL = 2, REPLACED = 3;

    /** Says why a record failed, or the whole batch (−1). */
    interface Reporter {
        void report(int record, String text);
    }

    private Batch() { }

    /** Answers each record of a batch in place, with outputs in out. */
    static void process(byte[] in, Outputs out, Reporter reporter) {
        if (i32(in, 0) != MAGIC || u16(in, 4) != 1) {
            throw new IllegalArgumentException("this is no batch of sp1");
        }
        out.reset();
        Record record = new Record(in);
        int stride = u16(in, 6);
        for (int i = 0, n = i32(in, 8), at = HEADER; i < n; i++, at += stride) {
            put32(in, 24, i); // which one to suspect if this is the last thing that happens
            record.move(at);
            out.source = i;
            int before = out.count();
            int verdict = answer(record, out, i, reporter);
            if (verdict != REPLACED) {
                out.back(before);
            }
            in[at + 46] = (byte) verdict;
        }
    }

    private static int answer(Record record, Outputs out, int i, Reporter reporter) {
        int verdict = FAIL;
        try {
            verdict = number(Plugin.handler.handle(record, out));
        } catch (Throwable e) {
            reporter.report(i, text(e));
        }
        return verdict;
    }

    private static int number(Verdict v) {
        if (v == null) {
            throw new IllegalStateException("the handler has answered null, and no verdict");
        }
        return v == Verdict.REPLACED ? REPLACED : v == Verdict.DROP ? DROP : KEEP;
    }

    static String text(Throwable e) { return e.getMessage() == null ? e.getClass().getName() : e.getMessage(); }

    /** The bytes that an offset and a length at a place say, or null. */
    static byte[] bytes(byte[] b, int at) {
        int length = i32(b, at + 4);
        if (length == NULL) {
            return null;
        }
        byte[] copy = new byte[length];
        System.arraycopy(b, length == 0 ? 0 : i32(b, at), copy, 0, length);
        return copy;
    }

    static int u16(byte[] b, int at) { return b[at] & 0xff | (b[at + 1] & 0xff) << 8; }

    static int i32(byte[] b, int at) { return u16(b, at) | u16(b, at + 2) << 16; }

    static long i64(byte[] b, int at) { return i32(b, at) & 0xffffffffL | (long) i32(b, at + 4) << 32; }

    static void put16(byte[] b, int at, int v) {
        b[at] = (byte) v;
        b[at + 1] = (byte) (v >> 8);
    }

    static void put32(byte[] b, int at, int v) {
        put16(b, at, v);
        put16(b, at + 2, v >> 16);
    }

    static void put64(byte[] b, int at, long v) {
        put32(b, at, (int) v);
        put32(b, at + 4, (int) (v >> 32));
    }
}
