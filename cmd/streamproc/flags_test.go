package main

import "testing"

func TestFlagsHaveVariables(t *testing.T) {
	for _, c := range []struct {
		verbs      []string
		flag, want string
	}{
		{[]string{"run"}, "config", "STREAMPROC_CONFIG"},
		{[]string{"validate"}, "deny-warnings", "STREAMPROC_DENY_WARNINGS"},
		{[]string{"plugin", "test"}, "config", "STREAMPROC_PLUGIN_TEST_CONFIG"},
		{[]string{"plugin", "test"}, "log-level", "STREAMPROC_LOG_LEVEL"},
	} {
		cmd, _, err := root().Find(c.verbs)
		if err != nil {
			t.Fatal(err)
		}
		if got := variable(cmd, c.flag); got != c.want {
			t.Errorf("--%s of %v is %s, want %s", c.flag, c.verbs, got, c.want)
		}
	}
}
