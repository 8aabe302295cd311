package io.github.streamproc.plugin;

/** Is called once, before the first record. What it throws keeps the plugin from starting. */
@FunctionalInterface
public interface Configurer {
    /** @param start JSON: {"plugin": name, "config": as written in the pipeline, "topics": […], "outputs": […]} */
    void configure(String start) throws Exception;
}
