package main

import (
	"os"
	"testing"
)

// TestMain lets the test binary be the child that compiles, as the command is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == compileVerb {
		main()
		return
	}
	m.Run()
}
