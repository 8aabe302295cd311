package io.github.streamproc.plugin;

/** What a plugin sets from its main method. */
public final class Plugin {
    static Handler handler = (record, out) -> { throw new IllegalStateException("the plugin sets no handler"); };
    static Configurer configurer = start -> { };

    private Plugin() { }

    /** Sets what is called for each record. */
    public static void handle(Handler h) {
        handler = h;
        Exports.link();
    }

    /** Sets what is called with the configuration. */
    public static void configure(Configurer c) { configurer = c; }
}
