package bench

import (
	"fmt"
	"path/filepath"
)

// configuration is what a user would write for a scenario: defaults wherever there are any.
func configuration(scenario, broker, redis, plugin, name, in, out string) string {
	c := fmt.Sprintf("version: 1\nresources:\n  kafka: { main: { brokers: [%q] } }\n", broker)
	if dedups(scenario) {
		c += fmt.Sprintf("  redis: { state: { addrs: [%q] } }\n", redis)
	}
	if plugin != "" {
		kind := "wasm"
		if e := filepath.Ext(plugin); e == ".ts" || e == ".js" {
			kind = "js"
		}
		c += fmt.Sprintf("  plugins: { price: { %s: %q } }\n", kind, plugin)
	}
	c += fmt.Sprintf("pipelines:\n  %s:\n    commit_interval: %s\n    source: { topics: [%q], start: earliest }\n", name, commitInterval, in)
	if once(scenario) {
		c += "    delivery: exactly_once\n"
	}
	if filters(scenario) || discounts(scenario) {
		c += "    steps:\n"
	}
	switch {
	case filters(scenario) && plugin != "":
		c += "      - filter: { plugin: price }\n"
	case filters(scenario):
		c += "      - filter: 'value.price >= 100 && value.channel != \"\"'\n"
	}
	if dedups(scenario) {
		c += "      - dedup: { key: $.id, window: 24h }\n"
	}
	if discounts(scenario) {
		c += "      - transform: { plugin: price }\n"
	}
	return c + fmt.Sprintf("    sinks: { out: { topic: %q } }\nadmin: { listen: \"127.0.0.1:0\" }\n", out)
}
