package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// place notes where what a pointer of the Config points to is written.
func (l *loading) place(of any, a at) {
	if _, there := l.places[of]; !there {
		l.places[of] = a
	}
}

// found is an error that came up after loading, at its place in the files.
type found struct {
	Problem
	cause error
}

// Error implements error.
func (e *found) Error() string { return e.String() }

// Unwrap returns the error as it came up.
func (e *found) Unwrap() error { return e.cause }

// At gives an error about a *Plugin, a *PluginUse or a *TLS of this configuration its place in the files: what only building
// it shows is told as what reading it shows.
func (c *Config) At(of any, err error) error {
	a, there := c.places[of]
	if err == nil || !there {
		return err
	}
	hint := ""
	if errors.Is(err, fs.ErrNotExist) {
		hint = "paths are relative to the file that names them"
	}
	var missed *fs.PathError
	if errors.As(err, &missed) && hint != "" {
		if near := neighbour(missed.Path); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
	}
	return &found{a.problem(unusable, hint, err.Error()), err}
}

// neighbour is the file in the folder of one that is not there which is named much as that.
func neighbour(file string) string {
	entries, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(entries) > maxNames {
		return ""
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return nearest(filepath.Base(file), names)
}

// Found are the problems in an error, those of At and of Load.
func Found(err error) (list Problems) {
	switch e := err.(type) { //nolint:errorlint // each link is looked at
	case Problems:
		return e
	case *found:
		return Problems{e.Problem}
	case interface{ Unwrap() error }:
		return Found(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			list = append(list, Found(one)...)
		}
	}
	return list.sorted()
}
