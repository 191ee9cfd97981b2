package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"redhen/cmd/redhen/demo"
)

func (a *app) demoCommand() *cobra.Command {
	var cfg demo.Config
	cmd := &cobra.Command{
		Use: "demo", Short: "Several houses on this machine, to try", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if cfg.Boxes < 1 || cfg.Boxes > 9 {
				return &usageError{fmt.Errorf("--boxes %d: want 1 to 9", cfg.Boxes)}
			}
			if cfg.Program, err = os.Executable(); err != nil {
				return fmt.Errorf("demo: %w", err)
			}
			if cfg.Dir != "" {
				if cfg.Dir, err = filepath.Abs(cfg.Dir); err != nil {
					return &usageError{err}
				}
			}
			cfg.Out = a.out
			return demo.Run(cmd.Context(), cfg)
		},
	}
	cmd.Flags().IntVar(&cfg.Boxes, "boxes", 3, "how many houses")
	cmd.Flags().StringVar(&cfg.Dir, "dir", "", "keep everything in this folder (default: a temporary one)")
	cmd.Flags().BoolVar(&cfg.LAN, "lan", false, "open the pages to the local network: the QR code then works on a phone")
	cmd.Flags().BoolVar(&cfg.Once, "once", false, "end when a file was read back in every house")
	return cmd
}
