package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/streamproc/streamproc/artifact"
)

// passwordVariable holds the password of a private key: on the command line everybody on the machine could read it.
const passwordVariable = "STREAMPROC_KEY_PASSWORD"

func pluginKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "key FILE",
		Short: "Make a pair of keys to sign plugins with: FILE and FILE.pub",
		Long: `Make a pair of keys to sign plugins with: FILE and FILE.pub, in the format of
minisign. FILE is encrypted with the password in ` + passwordVariable + `,
which must be set; where it is set to nothing, whoever has FILE can sign.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			password, set := os.LookupEnv(passwordVariable)
			if !set {
				return &exit{exitFailed, fmt.Errorf("%s is not set: set it to the password of the new key, or to nothing for one without", passwordVariable)}
			}
			if err := artifact.NewKey(args[0], password); err != nil {
				return &exit{exitFailed, err}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s.pub\n", args[0])
			return nil
		},
	}
}

func pluginSignCommand() *cobra.Command {
	var f moduleFlags
	var key string
	var s artifact.Statement
	cmd := &cobra.Command{
		Use:   "sign FILE --key KEY --name NAME --version VERSION",
		Short: "Sign a module under a name and version, into FILE.minisig",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			p, err := f.open(cmd, args[0])
			if err != nil {
				return err
			}
			defer closePlugin(cmd, p, &err)
			if p.IsScript() {
				return &exit{exitFailed, fmt.Errorf("%s is a script, and a script is not signed: a pipeline pins it with sha256: %s", args[0], p.Digest)}
			}
			secret, err := artifact.PrivateKey(key, os.Getenv(passwordVariable))
			if err != nil {
				return &exit{exitFailed, fmt.Errorf("%w (the password is taken from %s)", err, passwordVariable)}
			}
			s.ABI = p.ABI
			sig, err := artifact.Sign(secret, p.Module, s)
			if err != nil {
				return &exit{exitFailed, err}
			}
			if err := os.WriteFile(artifact.SignatureOf(args[0]), sig, 0o644); err != nil { //nolint:gosec // a signature is public
				return &exit{exitFailed, fmt.Errorf("writing the signature: %w", err)}
			}
			fmt.Fprintln(cmd.OutOrStdout(), artifact.SignatureOf(args[0]))
			return nil
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&key, "key", "", "private key; its password is in "+passwordVariable)
	cmd.Flags().StringVar(&s.Name, "name", "", "name of the plugin")
	cmd.Flags().StringVar(&s.Version, "version", "", "its version")
	for _, name := range []string{"key", "name", "version"} {
		_ = cmd.MarkFlagRequired(name) // the flag is there
	}
	return cmd
}

func pluginVerifyCommand() *cobra.Command {
	var o output
	var key string
	cmd := &cobra.Command{
		Use:   "verify FILE|REFERENCE --key KEY.pub",
		Short: "Say what the signer of a module states, if the signature holds",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			public, err := artifact.PublicKey(key)
			if err != nil {
				return &exit{exitFailed, err}
			}
			p, err := signed(cmd, args[0])
			if err != nil {
				return shipping(err)
			}
			s, err := artifact.Verify(public, p.Module, p.Signature)
			if err != nil {
				return &exit{exitFailed, err}
			}
			return o.write(cmd.OutOrStdout(), s, func(w io.Writer) {
				fmt.Fprintf(w, "name     %s\nversion  %s\nabi      %s\nsha256   %s\n", s.Name, s.Version, s.ABI, s.SHA256)
			})
		},
	}
	o.add(cmd)
	cmd.Flags().StringVar(&key, "key", "", "public key of the signer")
	_ = cmd.MarkFlagRequired("key") // the flag is there
	return cmd
}

// signed reads a module with its signature, from files or from a registry.
func signed(cmd *cobra.Command, from string) (p artifact.Plugin, err error) {
	p.Module, err = artifact.Read(from)
	switch {
	case os.IsNotExist(err) && strings.ContainsAny(from, "@:"):
		return artifact.Pull(cmd.Context(), from, "")
	case err != nil:
		return p, fmt.Errorf("reading the plugin: %w", err)
	}
	if p.Signature, err = artifact.ReadSignature(from); err != nil {
		return p, fmt.Errorf("reading the signature, which streamproc plugin sign makes: %w", err)
	}
	return p, nil
}

// shipping is the error of what asks a registry.
func shipping(err error) error {
	if errors.Is(err, artifact.ErrAway) {
		return &exit{exitAway, err}
	}
	return &exit{exitFailed, err}
}

func pluginPushCommand() *cobra.Command {
	var f moduleFlags
	cmd := &cobra.Command{
		Use:   "push FILE HOST/NAME:TAG",
		Short: "Send a module, and FILE.minisig if it is there, to a registry",
		Long: `Send a module, and FILE.minisig if it is there, to a registry of OCI artifacts. What
is printed names it by its digest; that is what a pipeline names:

  plugins: { enrich: { oci: HOST/NAME@sha256:…, signature: { public_key_file: KEY.pub } } }

Logins are those of docker login and its like.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			opened, err := f.open(cmd, args[0])
			if err != nil {
				return err
			}
			defer closePlugin(cmd, opened, &err)
			if opened.IsScript() {
				return &exit{exitFailed, fmt.Errorf("%s is a script, and a registry holds modules only", args[0])}
			}
			p := artifact.Plugin{Module: opened.Module}
			if p.Signature, err = artifact.ReadSignature(args[0]); err != nil && !os.IsNotExist(err) {
				return &exit{exitFailed, fmt.Errorf("reading the signature: %w", err)}
			}
			ref, err := artifact.Push(cmd.Context(), args[1], p)
			if err != nil {
				return shipping(err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), ref)
			return nil
		},
	}
	f.add(cmd)
	return cmd
}

func pluginResolveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "resolve HOST/NAME:TAG",
		Short: "Print the reference by digest of what a tag names now, which a pipeline names",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ref, err := artifact.Resolve(cmd.Context(), args[0])
			if err != nil {
				return shipping(err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), ref)
			return nil
		},
	}
}

func pluginPullCommand() *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use:   "pull HOST/NAME@sha256:… --to FILE",
		Short: "Fetch a module, and its signature, from a registry by digest",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := artifact.Pull(cmd.Context(), args[0], "")
			if err != nil {
				return shipping(err)
			}
			if err := os.WriteFile(to, p.Module, 0o644); err != nil { //nolint:gosec // a module is no secret
				return &exit{exitFailed, fmt.Errorf("writing the plugin: %w", err)}
			}
			if p.Signature != nil {
				if err := os.WriteFile(artifact.SignatureOf(to), p.Signature, 0o644); err != nil { //nolint:gosec // a signature is public
					return &exit{exitFailed, fmt.Errorf("writing the signature: %w", err)}
				}
			}
			fmt.Fprintln(cmd.OutOrStdout(), to)
			return nil
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "file to write")
	_ = cmd.MarkFlagRequired("to") // the flag is there
	return cmd
}
