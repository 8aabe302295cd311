package main

import (
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

// instance names this process: as the configuration says, or the environment, or like the host, and a slot that no other living process of this name on this
// host has. The slot is free again when the process is gone, however it went, so that a restart finds the name of the
// process that it replaces, and with it the transactions that one left open.
func instance(configured string, log *slog.Logger) (name string, release func()) {
	base := configured
	if base == "" {
		base = os.Getenv(instanceVariable)
	}
	if base == "" {
		base, _ = os.Hostname() //nolint:errcheck // without a name of the host the slot alone must do
	}
	for slot := range maxSlots {
		release, taken, err := takeSlot(base, slot)
		if err != nil {
			log.Warn("no stable name for the transactions of this process; after a crash, what it left open waits for its timeout", "error", err)
			break
		}
		if taken {
			return fmt.Sprintf("%s/%d", base, slot), release
		}
	}
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return base + "/" + hex.EncodeToString(b[:]), func() {}
}
