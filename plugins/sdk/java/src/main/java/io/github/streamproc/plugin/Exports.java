package io.github.streamproc.plugin;

import java.nio.charset.StandardCharsets;
import org.teavm.interop.Address;
import org.teavm.interop.Export;
import org.teavm.interop.Import;

/** ABI sp1, as it is exported. The collector moves arrays: an address is good until the next allocation. */
final class Exports {
    private static byte[] arena = new byte[0];
    private static final Outputs out = new Outputs();

    private Exports() { }

    /**
     * Is called from main: so the compiler, which takes what main reaches, finds this class. The first collection has to
     * be within _start: one within an export, with none before it, loses what is alive.
     */
    static void link() { System.gc(); }

    @Import(module = "sp1", name = "error")
    private static native void error(int record, Address text, int length);

    @Export(name = "sp_abi_v1")
    static void marker() { }

    @Export(name = "sp_alloc")
    static int alloc(int size) {
        if (size > arena.length) {
            arena = new byte[size + size / 2];
        }
        return Address.ofData(arena).toInt();
    }

    @Export(name = "sp_init")
    static int init(int at, int length) {
        int refused = 0;
        try {
            Plugin.configurer.configure(new String(arena, 0, length, StandardCharsets.UTF_8));
        } catch (Throwable e) {
            report(-1, Batch.text(e));
            refused = 1;
        }
        return refused;
    }

    @Export(name = "sp_process")
    static long process(int at, int length) {
        Batch.process(arena, out, Exports::report);
        if (out.count() == 0) {
            return 0;
        }
        byte[] batch = out.finish();
        return (long) Address.ofData(batch).toInt() << 32 | out.length();
    }

    private static void report(int record, String text) {
        byte[] b = text.getBytes(StandardCharsets.UTF_8);
        error(record, Address.ofData(b), b.length);
    }
}
