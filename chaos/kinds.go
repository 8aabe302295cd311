package chaos

// Kind is a scenario that the command knows by name.
type Kind struct {
	Name, What string
	Make       func(seed uint64, scale float64) Scenario
}

// Kinds are all of them, in the order in which they run.
var Kinds = []Kind{
	{"kill", "SIGKILL 20 times over a million ids, while instances come and go, 1 to 3 to 1", func(seed uint64, scale float64) Scenario {
		return Kills(seed, scaled(1_000_000, scale), 5000, int(scaled(20, scale)))
	}},
}

func scaled(n int64, scale float64) int64 { return max(1, int64(float64(n)*scale)) }
