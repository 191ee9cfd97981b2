package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"redhen/appliance/status"
)

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Is everything safe?", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.box().Status(cmd.Context())
			if err != nil {
				return err
			}
			return a.show(r, func(w io.Writer) { tellReport(w, r) })
		},
	}
}

func tellReport(w io.Writer, r status.Report) {
	fmt.Fprintf(w, "safe: %s\n%s\n\n", r.Safe, r.Sentence)
	tellHouses(w, r)
	fmt.Fprintln(w)
	for _, s := range r.Spaces {
		fmt.Fprintln(w, s.Words)
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
