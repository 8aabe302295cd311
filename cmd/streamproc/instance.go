package main

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
)

// instanceVariable names this process among those that share its work; default: the host's name.
const instanceVariable = "STREAMPROC_INSTANCE"

// maxSlots is how many processes of one name may live on one host.
const maxSlots = 1024

// instance names this process: as the configuration says, or the environment, or like the host.
func instance(configured string) string {
	base := cmp.Or(configured, os.Getenv(instanceVariable))
	if base == "" {
		base, _ = os.Hostname() //nolint:errcheck // without a name of the host the slot alone must do
	}
	return base
}

// slots gives processes of one name their numbers in a group: the lowest that no other living process of this name on this host has in
// that group. It is free again when the process is gone, however it went, so that a restart finds the name of the
// process that it replaces, and with it the transactions that one left open. Processes with other groups are other work, and take none of them.
func slots(base string, log *slog.Logger) func(group string) (slot string, release func()) {
	return func(group string) (string, func()) { return slotOf(base, group, log) }
}

func slotOf(base, group string, log *slog.Logger) (name string, release func()) {
	for slot := range maxSlots {
		release, taken, err := takeSlot(base, group, slot)
		if err != nil {
			log.Warn("no stable name for the transactions of this process; after a crash, what it left open waits for its timeout", "error", err)
			break
		}
		if taken {
			return fmt.Sprintf("/%d", slot), release
		}
	}
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return "/" + hex.EncodeToString(b[:]), func() {}
}
