//go:build !linux

package main

import "errors"

// takeSlot has no means outside Linux.
func takeSlot(string, string, int) (release func(), taken bool, err error) {
	return nil, false, errors.New("a slot can be taken on Linux only")
}
