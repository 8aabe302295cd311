package config

import (
	"bytes"
	"fmt"
	"path/filepath"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
)

// SARIF renders the problems for code scanning.
func (e Problems) SARIF() string {
	run := sarif.NewRunWithInformationURI("streamproc", "https://github.com/streamproc/streamproc").WithColumnKind("unicodeCodePoints")
	run.Results = []*sarif.Result{} // none is an empty list
	for _, p := range e {
		run.AddRule(string(p.Code))
		file := filepath.ToSlash(p.File)
		run.AddDistinctArtifact(file)
		region := sarif.NewRegion().WithStartLine(p.Line).WithStartColumn(p.Column)
		run.CreateResultForRule(string(p.Code)).WithLevel(string(p.Severity)).WithMessage(sarif.NewTextMessage(p.Sentence())).
			AddLocation(sarif.NewLocationWithPhysicalLocation(sarif.NewPhysicalLocation().
				WithArtifactLocation(sarif.NewSimpleArtifactLocation(file)).WithRegion(region)))
	}
	var b bytes.Buffer
	if err := sarif.NewReport().AddRun(run).PrettyWrite(&b); err != nil {
		panic(fmt.Sprintf("problems cannot be written as SARIF: %v", err)) // they are made of strings and numbers alone
	}
	return b.String()
}
