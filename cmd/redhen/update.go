package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"redhen/appliance/api"
)

func (a *app) updateCommand() *cobra.Command {
	var pin, unpin bool
	var postpone time.Duration
	cmd := &cobra.Command{
		Use: "update [FILE|ADDRESS]", Short: "What release the box runs; install another, pin or postpone", Args: cobra.MaximumNArgs(1),
		Long: "Show what release the box runs. With a signed update file, or its address, install that.\nA box takes a release that has done well at a friend's for a day by itself, unless it is pinned or that is postponed.",
		RunE: func(cmd *cobra.Command, args []string) error {
			var o api.UpdateOrder
			if pin || unpin {
				o.Pin = &pin
			}
			if cmd.Flags().Changed("postpone") {
				hours := int(postpone / time.Hour)
				o.Hours = &hours
			}
			if len(args) == 1 && !isAddress(args[0]) {
				return a.sendUpdate(cmd.Context(), args[0])
			}
			if len(args) == 1 {
				o.From = args[0]
			}
			u, err := a.orderUpdate(cmd.Context(), o)
			if err != nil {
				return err
			}
			return a.show(u, func(w io.Writer) { tellUpdate(w, u, o.From != "") })
		},
	}
	cmd.Flags().BoolVar(&pin, "pin", false, "take no release from friends' boxes")
	cmd.Flags().BoolVar(&unpin, "unpin", false, "take them again")
	cmd.Flags().DurationVar(&postpone, "postpone", 0, "take none for so long, in whole hours; 0 ends that")
	cmd.MarkFlagsMutuallyExclusive("pin", "unpin")
	return cmd
}

func isAddress(s string) bool {
	return strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://")
}

func (a *app) orderUpdate(ctx context.Context, o api.UpdateOrder) (api.Update, error) {
	if o == (api.UpdateOrder{}) {
		return a.box().Update(ctx)
	}
	return a.box().OrderUpdate(ctx, o)
}

func (a *app) sendUpdate(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return &usageError{fmt.Errorf("update: %w", err)}
	}
	defer f.Close()
	said, err := a.box().SendUpdate(ctx, f)
	if err != nil {
		return err
	}
	return a.done("%s", strings.TrimSpace(said))
}

func tellUpdate(w io.Writer, u api.Update, installed bool) {
	if installed {
		fmt.Fprintln(w, "It is installed, and the box restarts; if it does not do well within five minutes, the box goes back by itself.")
		return
	}
	fmt.Fprintf(w, "The box runs release %s (%d).\n", u.Release, u.Number)
	if u.Trial {
		fmt.Fprintln(w, "It is on trial: the box makes sure that all is well, or goes back by itself.")
	}
	switch {
	case u.Pinned:
		fmt.Fprintln(w, "It is pinned: nothing newer is taken from friends' boxes.")
	case u.Postponed.After(time.Now()):
		fmt.Fprintf(w, "Nothing newer is taken from friends' boxes until %s.\n", u.Postponed.Format("15:04 on 2 January"))
	}
}
