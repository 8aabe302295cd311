package main

import (
	"log/slog"
	"testing"
)

func TestProcessesOfOneNameTakeTheLowestFreeSlotOfTheirGroup(t *testing.T) {
	of := slots("instance-"+t.Name(), slog.New(slog.DiscardHandler))
	first, leave := of("g")
	second, leaveSecond := of("g")
	defer leaveSecond()
	if first != "/0" || second != "/1" {
		t.Errorf("named %s and %s", first, second)
	}
	other, leaveOther := of("another")
	defer leaveOther()
	if other != "/0" {
		t.Errorf("%s of a group that nobody else is in", other)
	}
	leave()
	again, leaveAgain := of("g")
	defer leaveAgain()
	if again != first {
		t.Errorf("the slot that was left went to nobody: %s", again)
	}
}

func TestAnInstanceIsNamedByTheConfigurationTheEnvironmentOrTheHost(t *testing.T) {
	if instance("") == "" {
		t.Error("a host without a name")
	}
	t.Setenv(instanceVariable, "environment")
	if got := instance(""); got != "environment" {
		t.Errorf("the environment named it, it is %s", got)
	}
	if got := instance("file"); got != "file" {
		t.Errorf("the configuration named it, it is %s", got)
	}
}
