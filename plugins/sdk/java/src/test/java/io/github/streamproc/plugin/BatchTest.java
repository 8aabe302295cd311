package io.github.streamproc.plugin;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

import static org.junit.jupiter.api.Assertions.assertEquals;

final class BatchTest {
    @Test
    void eachRecordIsAnswered() {
        Plugin.handler = (record, out) -> {
            if (record.value() == null) {
                return Verdict.KEEP;
            }
            if (record.value().length == 0) {
                return Verdict.DROP;
            }
            out.put(record.text() + "!");
            out.put(record.headers().get("h"), null);
            out.to(2);
            out.at(record.timestamp() + record.partition() + record.offset() + record.topic());
            return Verdict.REPLACED;
        };
        byte[] in = batch(Batch.RECORD, null, "", "ä");
        Outputs out = new Outputs();
        Batch.process(in, out, (i, text) -> { throw new AssertionError(text); });
        assertEquals("[0, 1, 3]", Arrays.toString(verdicts(in, Batch.RECORD, 3)));
        assertEquals(2, out.count());
        byte[] answer = out.finish();
        int first = Batch.HEADER, second = first + Batch.RECORD;
        assertEquals(out.length(), Batch.i32(answer, 12));
        assertEquals(Batch.INHERIT, Batch.i32(answer, first));
        assertEquals("ä!", new String(Batch.bytes(answer, first + 8), StandardCharsets.UTF_8));
        assertEquals(Long.MIN_VALUE, Batch.i64(answer, first + 24));
        assertEquals(2, Batch.i32(answer, first + 40));
        assertEquals("x", new String(Batch.bytes(answer, second), StandardCharsets.UTF_8));
        assertEquals(null, Batch.bytes(answer, second + 8));
        assertEquals(1000L + 7 + 50_000_000_000L + 3, Batch.i64(answer, second + 24));
        assertEquals(2, Batch.u16(answer, second + 44));
    }

    @Test
    void whatALargerDescriptorHoldsIsSteppedOver() {
        Plugin.handler = (record, out) -> record.text().equals("b") ? Verdict.DROP : Verdict.KEEP;
        byte[] in = batch(Batch.RECORD + 16, "a", "b", "c");
        Batch.process(in, new Outputs(), (i, text) -> { throw new AssertionError(text); });
        assertEquals("[0, 1, 0]", Arrays.toString(verdicts(in, Batch.RECORD + 16, 3)));
    }

    @Test
    void aFailureLeavesNothingBehind() {
        Plugin.handler = (record, out) -> {
            out.put("half");
            if (record.text().equals("b")) {
                throw new IllegalStateException("because");
            }
            return record.text().equals("c") ? Verdict.KEEP : Verdict.REPLACED;
        };
        byte[] in = batch(Batch.RECORD, "a", "b", "c");
        Outputs out = new Outputs();
        List<String> said = new ArrayList<>();
        Batch.process(in, out, (i, text) -> said.add(i + " " + text));
        assertEquals("[3, 2, 0]", Arrays.toString(verdicts(in, Batch.RECORD, 3)));
        assertEquals("[1 because]", said.toString());
        assertEquals(1, out.count());
    }

    @Test
    void noVerdictIsAFailure() {
        Plugin.handler = (record, out) -> null;
        byte[] in = batch(Batch.RECORD, "a");
        List<String> said = new ArrayList<>();
        Batch.process(in, new Outputs(), (i, text) -> said.add(text));
        assertEquals("[2]", Arrays.toString(verdicts(in, Batch.RECORD, 1)));
        assertEquals("[the handler has answered null, and no verdict]", said.toString());
    }

    private static byte[] batch(int stride, String... values) {
        int at = Batch.HEADER + values.length * stride;
        byte[] b = new byte[at + 1000];
        Batch.put32(b, 0, Batch.MAGIC);
        Batch.put16(b, 4, 1);
        Batch.put16(b, 6, stride);
        Batch.put32(b, 8, values.length);
        Batch.put32(b, 12, b.length);
        b[at] = 'h';
        b[at + 1] = 'x';
        int header = at + 2;
        span(b, header, at, 1);
        span(b, header + 8, at + 1, 1);
        at = header + 16;
        for (int i = 0; i < values.length; i++) {
            int d = Batch.HEADER + i * stride;
            Batch.put32(b, d + 4, Batch.NULL);
            byte[] v = values[i] == null ? null : values[i].getBytes(StandardCharsets.UTF_8);
            span(b, d + 8, at, v == null ? Batch.NULL : v.length);
            if (v != null) {
                System.arraycopy(v, 0, b, at, v.length);
                at += v.length;
            }
            span(b, d + 16, header, 1);
            Batch.put64(b, d + 24, 1000);
            Batch.put64(b, d + 32, 50_000_000_000L);
            Batch.put32(b, d + 40, 7);
            Batch.put16(b, d + 44, 3);
        }
        return b;
    }

    private static void span(byte[] b, int at, int offset, int length) {
        Batch.put32(b, at, offset);
        Batch.put32(b, at + 4, length);
    }

    private static int[] verdicts(byte[] b, int stride, int n) {
        int[] all = new int[n];
        for (int i = 0; i < n; i++) {
            all[i] = b[Batch.HEADER + i * stride + 46];
        }
        return all;
    }
}
