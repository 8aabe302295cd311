package mutants

import (
	"path/filepath"
	"testing"
)

func TestEveryMutantStillApplies(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for i := range All {
		m := &All[i]
		if _, err := m.Overlay(root, t.TempDir()); err != nil {
			t.Error(err)
		}
		if names[m.Name] || m.Old == m.New {
			t.Errorf("mutant %s is no mutant of its own", m.Name)
		}
		names[m.Name] = true
	}
}
