//go:build unix && !linux

package runtime

func wantLargePages([]byte) {}

func touch([]byte) {}
