package aimed

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/streamproc/streamproc/internal/servers"
)

func TestMain(m *testing.M) { os.Exit(servers.Main(m)) }

// One try of each cell: the engine does no harm, and the aim is good, because the engine without its guard and franz-go's
// own session do. make aimed makes thirty.
func TestAStaleMemberCommitsNothing(t *testing.T) {
	dir := t.TempDir()
	self, mutant := filepath.Join(dir, "aimed"), filepath.Join(dir, "mutant")
	for out, tags := range map[string]string{self: "", mutant: "mutant_noguard"} {
		if text, err := exec.Command("go", "build", "-tags", tags, "-o", out, "../cmd/aimed").CombinedOutput(); err != nil {
			t.Fatalf("building %s: %v\n%s", out, err, text)
		}
	}
	brokers := servers.Brokers(t)
	t.Run("cells", func(t *testing.T) {
		for _, c := range Cells(self, mutant) {
			t.Run(c.Case+" "+c.Subject+" "+c.Delivery, func(t *testing.T) {
				t.Parallel()
				r := Run(t.Context(), brokers, c, 1, 1, dir)
				if !r.Sound() {
					t.Errorf("%+v", r)
				}
			})
		}
	})
}
