package abi

import "embed"

// Sources is this package, for plugins in Go that live in a module of their own.
//
//go:embed abi.go answer.go frame.go input.go output.go
var Sources embed.FS
