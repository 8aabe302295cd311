package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const quiet = `version: 1
resources:
  kafka: { main: { brokers: [localhost:9092] } }
  redis: { state: { addrs: ["127.0.0.1:6379"], password: "${PW}" } }
  plugins: { p: { wasm: p.wasm } }
pipelines:
  orders:
    source: { topics: [orders] }
    steps: [ { transform: { plugin: p, config: { n: 1 } } } ]
    sinks: { out: { topic: orders.out } }
`

func TestWhatWantsALookIsAWarningAtItsPlace(t *testing.T) {
	env := map[string]string{"PW": "x"}
	cfg, err := load(t, quiet, env)
	if err != nil || len(cfg.Warnings) > 0 {
		t.Fatalf("%v\n%v", cfg.Warnings, err)
	}
	for _, c := range []struct {
		old, new, want string
		code           code
	}{
		{`"${PW}"`, "hunter2", `:4:58: warning: resources.redis.state.password: a secret stands in the file (write ${NAME} or ${file:PATH})`, literalSecret},
		{"localhost:9092", "kafka:9092", `:3:12: warning: resources.kafka.main: Kafka main at kafka:9092 is reached without TLS (set tls: true, or a ca_file)`, plaintext},
		{"127.0.0.1:6379", "10.0.0.7:6379", `Redis state at 10.0.0.7:6379 is reached without TLS`, plaintext},
		{"[localhost:9092]", "[localhost:9092], tls: { insecure_skip_verify: true }", `whoever stands in between can read and change everything`, anyCertificate},
		{"{ n: 1 }", "{ n: 010 }", `:9:53: warning: pipelines.orders.steps[0].transform.config.n: 010 is an octal number to some readers of YAML (write "010")`, ambiguous},
		{"{ n: 1 }", "{ n: no }", `no is true or false to some readers of YAML (write "no")`, ambiguous},
		{"topics: [orders]", "topics: [orders], group: 1:30", `1:30 is a number to the base of 60`, ambiguous},
		{"topics: [orders]", "topics: [off]", `off is true or false to some readers of YAML`, ambiguous},
		{"  orders:", "  no:", `:7:3: warning: pipelines.no: no is true or false`, ambiguous},
	} {
		cfg, err := load(t, strings.Replace(quiet, c.old, c.new, 1), env)
		if err != nil {
			t.Errorf("%s: %v", c.new, err)
			continue
		}
		if len(cfg.Warnings) != 1 || cfg.Warnings[0].Code != c.code || !strings.Contains(cfg.Warnings.Error(), c.want) {
			t.Errorf("%s: %v\nwant %s", c.new, cfg.Warnings, c.want)
		}
	}
}

func TestASecretFileThatEverybodyCanReadIsWarnedOf(t *testing.T) {
	for mode, want := range map[os.FileMode]int{0o600: 0, 0o640: 0, 0o644: 1} {
		secret := filepath.Join(t.TempDir(), "pw")
		if err := os.WriteFile(secret, []byte("x\n"), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(secret, mode); err != nil {
			t.Fatal(err)
		}
		cfg, err := load(t, strings.Replace(quiet, "${PW}", "${file:"+secret+"}", 1), nil)
		if err != nil || len(cfg.Warnings) != want {
			t.Errorf("%v: %v, %v", mode, cfg.Warnings, err)
		}
		if want == 1 && cfg.Warnings[0].Code != exposedSecret {
			t.Errorf("%v: %v", mode, cfg.Warnings)
		}
	}
}

// Whatever is wrong near a secret, its line is shown without it.
func TestAProblemShowsNoSecret(t *testing.T) {
	for _, text := range []string{
		strings.Replace(quiet, `password: "${PW}"`, "password: canary-1, nonsense: true", 1),
		strings.Replace(quiet, `password: "${PW}"`, "passwd: canary-1", 1),
		strings.Replace(quiet, `password: "${PW}"`, "password: 'canary-1, x' }", 1),
		strings.Replace(quiet, `password: "${PW}"`, `"password" : "canary-1`, 1),
		strings.Replace(quiet, `password: "${PW}"`, "password: [canary-1]", 1),
		strings.Replace(quiet, `password: "${PW}"`, "password: >-\n      canary-1\n      nonsense: 1", 1),
		quiet + "admin: { listen: 0.0.0.0:1, token: canary-1, nonsense: 1 }",
	} {
		_, err := load(t, text, map[string]string{"PW": "x"})
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s\ngives %v", text, err)
		}
	}
}

func loadSet(t *testing.T, set ...string) (*Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "p.yaml")
	if err := os.WriteFile(file, []byte(complete), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"IN": "in", "GROUP": "g", "ADMIN_PORT": "1", "N": "6"}
	return Load(Options{Paths: []string{file}, Set: set, LookupEnv: func(k string) (string, bool) { v, ok := env[k]; return v, ok }})
}

func TestSetReplacesWhatTheFilesSay(t *testing.T) {
	cfg, err := loadSet(t, "pipelines.accept.workers=4", "pipelines.accept.steps[1].dedup.window=7d", "pipelines.accept.source.topics=[a, b]",
		"resources.kafka.main.client_id=c=d", "pipelines.accept.source.poll.records=${N}", "telemetry.log.level=debug")
	if err != nil {
		t.Fatal(err)
	}
	p := cfg.Pipelines[0]
	got := strings.TrimSpace(fmt.Sprintln(p.Workers, p.Steps[1].Dedup.Window, p.Source.Topics, p.Source.Kafka.ClientID, p.Source.PollRecords, cfg.Telemetry.LogLevel))
	if want := "4 168h0m0s [a b] c=d 6 debug"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSetSaysWhatIsWrongWithIt(t *testing.T) {
	for arg, want := range map[string]string{
		"pipelines.accept.workers":                           "--set:1:1: want PATH=VALUE",
		"pipelines.accept.workers=none":                      `--set:1:26: pipelines.accept.workers: "none" is no count`,
		"pipelines.accept.wrokers=4":                         `--set:1:18: pipelines.accept.wrokers: unknown key (did you mean "workers"?)`,
		"pipelines.accept.steps[9].name=x":                   "--set:1:1: there is no pipelines.accept.steps[9].name to set",
		"pipelines.accept.source.topics=[":                   "the value is no YAML",
		"resources.redis.state.password=canary":              "a secret cannot be set there",
		"resources.redis.state={addrs: [a:1], token: x}":     "unknown key",
		"resources.redis.s={addrs: [a:1], password: canary}": "a secret cannot be set there",
		"admin.token=canary":                                 "a secret cannot be set there",
	} {
		_, err := loadSet(t, arg)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v\nwant %s", arg, err, want)
		}
	}
}

func TestValuesThatAreBytesHaveNoFields(t *testing.T) {
	for steps, want := range map[string]int{
		"[ { dedup: { key: \"header:id\" } }, { filter: 'key != \"\"' } ]":      0,
		"[ { dedup: { key: $.id } } ]":                                          1,
		"[ { filter: value.x > 1 }, { reorder: { key: $.k, sequence: $.s } } ]": 3,
		"[ { transform: { wasm: a.wasm } }, { dedup: { key: $.id } } ]":         0,
	} {
		text := "version: 1\npipelines: { p: { source: { topics: [t], decode: bytes }, steps: " + steps + ", sinks: { out: { topic: o } } } }\n"
		_, err := load(t, text, nil)
		var all Problems
		errors.As(err, &all)
		if len(all) != want || want > 0 && !strings.Contains(err.Error(), "with decode: bytes the value is not JSON") {
			t.Errorf("%s: %v", steps, err)
		}
	}
}

func TestDeadLettersCannotBeSwitchedOff(t *testing.T) {
	for _, off := range []string{"off", "{ off: true }", "false"} {
		_, err := load(t, "version: 1\npipelines: { p: { source: { topics: [t] }, sinks: { out: { topic: o } }, dlq: "+off+" } }\n", nil)
		if err == nil || !strings.Contains(err.Error(), "dead letters cannot be switched off") {
			t.Errorf("%s: %v", off, err)
		}
	}
}

func TestOnlySecretsAreMasked(t *testing.T) {
	for line, want := range map[string]string{
		`password: hunter2`:                      `password: *******`,
		`{ password: "a b", user: x }`:           `{ password: *****, user: x }`,
		`{ token: a b , x: 1 }`:                  `{ token: *** , x: 1 }`,
		`client_secret: 'x'`:                     `client_secret: ***`,
		`redis.password=hunter2`:                 `redis.password=*******`,
		`password: ${PW}`:                        `password: ${PW}`,
		`password: "${file:secrets/pw}"`:         `password: "${file:secrets/pw}"`,
		`filter: 'value.token == "x" && a == 1'`: `filter: 'value.token == "x" && a == 1'`,
		`on_error: pass`:                         `on_error: pass`,
	} {
		if got := masked(line); got != want {
			t.Errorf("%s is shown as %s, want %s", line, got, want)
		}
	}
}

func TestStateThatRestsOnMoreThanTheLogIsWarnedOf(t *testing.T) {
	for steps, want := range map[string]string{
		"[ { transform: { plugin: reads } }, { dedup: { key: $.id } } ]":                                 "steps[0]: the plugin may answer by kv",
		"[ { filter: { plugin: late } }, { reorder: { key: $.k, sequence: $.s, first: 0 } } ]":           "steps[0]: the plugin may answer by the clock",
		"[ { dedup: { key: $.id } }, { transform: { plugin: reads } }, { filter: value.good } ]":         "",
		"[ { transform: { plugin: plain } }, { dedup: { key: $.id } } ]":                                 "",
		"[ { transform: { plugin: reads } }, { route: [ { when: 'true', to: o }, { otherwise: o } ] } ]": "",
	} {
		cfg, err := load(t, `version: 1
resources:
  redis: { state: { addrs: ["localhost:1"] } }
  plugins:
    plain: { wasm: a.wasm }
    late: { wasm: a.wasm, capabilities: [clock] }
    reads: { wasm: a.wasm, kv: { store: state, prefix: "u:" } }
pipelines: { p: { source: { topics: [t] }, steps: `+steps+`, sinks: { o: { topic: o } } } }
`, nil)
		if err != nil {
			t.Errorf("%s: %v", steps, err)
			continue
		}
		got := cfg.Warnings.Error()
		if len(cfg.Warnings) == 0 {
			got = ""
		}
		if len(cfg.Warnings) > 1 || (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: warnings are %q", steps, got)
		}
	}
}
