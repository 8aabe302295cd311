// Command aimed aims at the moments in which a stale member could commit: see package chaos/aimed.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/streamproc/streamproc/chaos/aimed"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "member" {
		if err := aimed.Member(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	brokers := flag.String("brokers", os.Getenv("STREAMPROC_TEST_KAFKA"), "HOST:PORT of a Kafka that allows session timeouts of 2 s")
	mutant := flag.String("mutant", "", "this program, built with -tags mutant_noguard")
	tries := flag.Int("tries", 30, "tries of each cell")
	parallel := flag.Int("parallel", 4, "tries at a time")
	only := flag.String("only", "", "cells whose line contains this")
	dir := flag.String("dir", "", "where logs of the members stay (default: a new temporary folder)")
	flag.Parse()
	if !run(*brokers, *mutant, *tries, *parallel, *only, *dir) {
		os.Exit(1)
	}
}

func run(brokers, mutant string, tries, parallel int, only, dir string) bool {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	self, err := os.Executable()
	if err == nil && dir == "" {
		dir, err = os.MkdirTemp("", "aimed-")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return false
	}
	fmt.Printf("logs in %s\n| case | subject | tries | with harm | repeated | missing | |\n|---|---|---|---|---|---|---|\n", dir)
	sound := true
	for _, c := range aimed.Cells(self, mutant) {
		if !strings.Contains(c.Case+" "+c.Subject+" "+c.Delivery, only) {
			continue
		}
		r := aimed.Run(ctx, strings.Split(brokers, ","), c, tries, parallel, dir)
		r.Print(os.Stdout)
		sound = sound && r.Sound()
	}
	return sound
}
