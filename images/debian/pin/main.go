// Command pin writes images/debian/pins.txt anew, with what Debian has now. It is run
// from the folder of go.mod, by make pins.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"redhen/images/debian"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "pin:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	text, err := debian.Renew(ctx, &debian.Store{Log: os.Stderr})
	if err != nil {
		return err
	}
	return os.WriteFile("images/debian/pins.txt", []byte(text), 0o644)
}
