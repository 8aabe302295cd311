// Package upstream holds what we have found in libraries that we use: a report for each, and a minimal test that passes for
// as long as the defect is there, so that we hear when it is gone.
package upstream
