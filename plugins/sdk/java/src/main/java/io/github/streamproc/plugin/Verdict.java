package io.github.streamproc.plugin;

/** The answer for a record. */
public enum Verdict {
    /** It goes on unchanged. */
    KEEP,
    /** It is filtered. */
    DROP,
    /** Its outputs go on in its place; none is filtered. */
    REPLACED
}
