package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestDevOnceClosesTheLedgerOfTheEarthquakes(t *testing.T) {
	t.Chdir("../..")
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	var out bytes.Buffer
	cmd := root()
	cmd.SetOut(&out)
	cmd.SetArgs([]string{"dev", "--once"})
	if err := cmd.Execute(); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	for _, want := range []string{"copies injected", "written to strong", "in 1,799 =", "closes"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &out)
		}
	}
}
