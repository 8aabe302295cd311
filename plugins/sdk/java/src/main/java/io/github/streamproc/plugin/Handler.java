package io.github.streamproc.plugin;

/** Is called for each record. What it throws sends the record to the dead letters, with its message. */
@FunctionalInterface
public interface Handler {
    Verdict handle(Record record, Outputs out) throws Exception;
}
