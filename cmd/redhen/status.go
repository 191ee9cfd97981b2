package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"redhen/appliance/api"
	"redhen/appliance/firstboot"
	"redhen/appliance/status"
)

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Is everything safe?", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.box().Status(cmd.Context())
			if err != nil {
				return a.startWords(cmd.Context(), err)
			}
			return a.show(r, func(w io.Writer) { tellReport(w, r) })
		},
	}
}

// startWords says of a box that is in no circle yet what its card has it do.
func (a *app) startWords(ctx context.Context, noReport error) error {
	box, err := a.box().Box(ctx)
	if err != nil || box.Start.IsZero() {
		return noReport
	}
	if a.json {
		if err := a.show(box, nil); err != nil {
			return err
		}
	}
	if box.Start.Doing == firstboot.Nothing {
		e, _ := errors.AsType[*api.Error](noReport)
		return &api.Error{Code: e.Code, Sentence: e.Sentence + " About the card: " + strings.Join(box.Start.Problems, " ")}
	}
	text := box.Start.Sentence
	if len(box.Start.Words) > 0 {
		text += " Both of you should see: " + wordsLine(box.Start.Words)
	}
	return &api.Error{Code: string(box.Start.Doing), Sentence: text}
}

func tellReport(w io.Writer, r status.Report) {
	fmt.Fprintf(w, "safe: %s\n%s\n\n", r.Safe, r.Sentence)
	tellHouses(w, r)
	if r.Strangers.Words != "" {
		fmt.Fprintln(w, r.Strangers.Words)
	}
	fmt.Fprintln(w)
	for _, s := range r.Spaces {
		fmt.Fprintln(w, s.Words)
	}
	if r.Drill != nil {
		fmt.Fprintln(w, r.Drill.Words)
	}
	tellFaults(w, r.Faults)
}

func tellFaults(w io.Writer, faults []status.Fault) {
	for _, f := range faults {
		fmt.Fprintf(w, "\n%s %s %s %s\n", f.What, f.Lost, f.Heals, f.Do)
		if f.Help != "" {
			fmt.Fprintln(w, "Who can help:", f.Help)
		}
	}
}
