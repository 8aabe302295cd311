package main

import (
	"log/slog"
	"testing"
)

func TestInstancesOfOneNameTakeTheLowestFreeSlot(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	base := "instance-" + t.Name()
	first, leave := instance(base, log)
	second, leaveSecond := instance(base, log)
	defer leaveSecond()
	if first != base+"/0" || second != base+"/1" {
		t.Errorf("named %s and %s", first, second)
	}
	leave()
	again, leaveAgain := instance(base, log)
	defer leaveAgain()
	if again != first {
		t.Errorf("the slot that was left went to nobody: %s", again)
	}
	t.Setenv(instanceVariable, base+"-environment")
	if name, leave := instance("", log); name != base+"-environment/0" {
		t.Errorf("the environment named it, it is %s", name)
	} else {
		leave()
	}
}
