package main

import (
	"context"
	"runtime/debug"

	"github.com/streamproc/streamproc/admin"
	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/daemon"
)

// adminOptions let the endpoint answer for the daemon.
func adminOptions(c config.Admin, d *daemon.Daemon, reload func(context.Context, admin.Reload) admin.Reloaded) admin.Options {
	return admin.Options{Listen: c.Listen, Token: c.Token.Reveal(), Debug: c.Debug, Insecure: c.Insecure, Hosts: c.Hosts, Version: built(),
		Ready: func() []admin.Pipeline { return readiness(d.Status()) }, Status: func() any { return d.Status() }, Metrics: d.Metrics(), Reload: reload}
}
func readiness(all []daemon.Status) []admin.Pipeline {
	list := make([]admin.Pipeline, len(all))
	for i, s := range all {
		list[i] = admin.Pipeline{Name: s.Name, State: string(s.State), Why: s.Why, Ready: s.Ready, Checks: s.Checks}
	}
	return list
}

// built is what the Go tool has noted in this binary.
func built() admin.Version {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return admin.Version{Version: "unknown"}
	}
	v := admin.Version{Version: info.Main.Version, Go: info.GoVersion}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v.Commit = s.Value
		}
	}
	return v
}
