// Command bakery makes redhen's images. It is run from the folder of go.mod, by make.
package main

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"redhen/images/bake"
	"redhen/images/debian"
	"redhen/images/layout"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bakery:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("bakery", flag.ContinueOnError)
	flags.SetOutput(stderr)
	boards := flags.String("boards", "vm-amd64,box-arm64", "what to make, with commas")
	out := flags.String("out", "out", "folder for what is made")
	key := flags.String("key", "", "file with the private key that signs, PKCS #8 in PEM; none: the images trust no update")
	release := flags.String("release", "", "name of the release (default: of the last commit)")
	number := flags.Uint64("number", 0, "its number, larger than that of the one before (default: time of the last commit)")
	verbose := flags.Bool("v", false, "show what the tools say")
	if err := flags.Parse(args); err != nil {
		return err
	}
	c := bake.Config{Module: ".", Out: *out, Release: *release, Number: *number}
	if *verbose {
		c.Log = stderr
	}
	if *key != "" {
		var err error
		if c.Key, err = readKey(*key); err != nil {
			return err
		}
		c.Debian = &debian.Store{Log: c.Log, Strict: true} // what is signed is as pinned
	}
	for _, name := range strings.Split(*boards, ",") {
		begin := time.Now()
		c.Board = layout.Board(name)
		r, err := bake.Bake(ctx, c)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for _, l := range r.Lines {
			fmt.Fprintln(stdout, l)
		}
		fmt.Fprintf(stdout, "%s, release %s (%d): made in %.0f s\n", name, r.Release, r.Number, time.Since(begin).Seconds())
	}
	return nil
}

// readKey reads a key as "openssl genpkey -algorithm ed25519" writes it.
func readKey(path string) (ed25519.PrivateKey, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, errors.New("read key: it is not a PEM file")
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	signer, ok := k.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("read key: a %T, want Ed25519", k)
	}
	return signer, nil
}
