// Command told does what each value says, made with the official PDK.
package main

import (
	"bytes"
	"errors"

	"github.com/extism/go-pdk"
)

func main() {}

//go:wasmexport told
func told() int32 {
	switch value := pdk.Input(); string(value) {
	case "error":
		pdk.SetError(errors.New("as it was told"))
		return 3
	case "panic":
		panic("as it was told")
	case "config":
		greeting, _ := pdk.GetConfig("greeting")
		pdk.OutputString(greeting)
	case "count":
		pdk.SetVarInt("n", pdk.GetVarInt("n")+1)
		pdk.Output([]byte{byte('0' + pdk.GetVarInt("n"))})
	default:
		pdk.Output(bytes.ToUpper(value))
	}
	return 0
}
