package runtime

import (
	"log/slog"
	"syscall"
	"testing"
	"time"

	"github.com/streamproc/streamproc/internal/hostile"
)

func processorTime(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkAttacks is what each attack costs, alone in its batch: the call that fails, the second in a fresh instance, and
// both instances. cpu-ms is the processor time of the whole process, resident-MiB by how much it grew.
func BenchmarkAttacks(b *testing.B) {
	rt := newRuntime(b, Options{Logger: slog.New(slog.DiscardHandler)})
	for _, a := range hostile.Attacks() {
		b.Run(a.Name, func(b *testing.B) {
			p, err := rt.Load(b.Context(), Source{Name: "p", Bytes: a.Module})
			if err != nil {
				b.Fatal(err)
			}
			defer p.Close(b.Context())
			g := startGuest(b, p, Filter, Events{})
			process(b, g, batch("k"))
			before, cpu := footprint(b), processorTime(b)
			n := 0
			for b.Loop() {
				process(b, g, batch("x"))
				n++
			}
			cpu = processorTime(b) - cpu
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(cpu.Microseconds())/1000/float64(n), "cpu-ms")
			b.ReportMetric(float64(footprint(b).resident-before.resident)/(1<<20), "resident-MiB")
		})
	}
}
