// Package enumerate tries every schedule of a small world instead of drawing some: the real workers with the real steps,
// over a broker and a store in memory whose every call is a point where a scheduler decides what happens next. Its tests
// hold it all; there is nothing to import.
package enumerate
