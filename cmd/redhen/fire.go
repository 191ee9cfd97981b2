package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"

	"github.com/spf13/cobra"

	"redhen/appliance/api"
	"redhen/cmd/redhen/fire"
)

func (a *app) fireCommand() *cobra.Command {
	var times, files, houses int
	var seed uint64
	var big int64
	cmd := &cobra.Command{
		Use: "fire", Short: "Burn one of three houses on this machine, then one of two, and see that nothing is lost", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if files < 20 || big < 1 || times < 1 {
				return &usageError{fmt.Errorf("want 20 files, one MB and one time at least")}
			}
			if houses != 0 && houses != 2 && houses != 3 {
				return &usageError{fmt.Errorf("want two or three houses")}
			}
			return a.fire(cmd.Context(), times, houses, fire.Config{Files: files, Big: big * 1_000_000, Seed: seed})
		},
	}
	cmd.Flags().IntVar(&times, "times", 1, "how often")
	cmd.Flags().Uint64Var(&seed, "seed", 0, "draws files and moment (0 = a new one)")
	cmd.Flags().IntVar(&houses, "houses", 0, "only the story of so many houses: 2 or 3")
	cmd.Flags().IntVar(&files, "files", 500, "small files")
	cmd.Flags().Int64Var(&big, "big", 300, "MB of the one large file")
	return cmd
}

func (a *app) fire(ctx context.Context, times, houses int, cfg fire.Config) (err error) {
	if cfg.Program, err = os.Executable(); err != nil {
		return fmt.Errorf("fire: %w", err)
	}
	if _, err := exec.LookPath("rclone"); err != nil {
		return &api.Error{Code: "no-rclone", Sentence: "The fire needs the program rclone. Nothing was changed. Install it (apt-get install rclone), then try again."}
	}
	cfg.Out, cfg.Keep = a.out, true
	for i := range times {
		if cfg.Seed == 0 || i > 0 {
			cfg.Seed = rand.Uint64N(1 << 32)
		}
		if houses != 2 {
			err = fire.Three(ctx, cfg)
		}
		if err == nil && houses != 3 {
			err = fire.Two(ctx, cfg)
		}
		if err == nil && houses != 3 {
			err = fire.Back(ctx, cfg)
		}
		if err == nil && houses != 3 {
			err = fire.Both(ctx, cfg)
		}
		if err != nil {
			return fmt.Errorf("fire %d of %d: %w", i+1, times, err)
		}
	}
	return nil
}
