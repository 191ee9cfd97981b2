package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"redhen/appliance/status"
)

func (a *app) housesCommand() *cobra.Command {
	return &cobra.Command{
		Use: "houses", Short: "The houses of the circle and how they are reached", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.box().Status(cmd.Context())
			if err != nil {
				return err
			}
			return a.show(r.Houses, func(w io.Writer) { tellHouses(w, r) })
		},
	}
}

func tellHouses(w io.Writer, r status.Report) {
	for _, h := range r.Houses {
		fmt.Fprintf(w, "%s: %s\n", h.Name, h.Reached.Words)
		for _, b := range h.Boxes {
			fmt.Fprintf(w, "    %s, kept by %s", b.Name, b.Keeper)
			if b.Known {
				fmt.Fprintf(w, ", %s", status.Bytes(b.Used))
			}
			if b.Check != nil {
				fmt.Fprintf(w, ", %s", b.Check.Words)
			}
			if !h.Here && len(h.Boxes) > 1 {
				fmt.Fprintf(w, ": %s", b.Reached.Words)
			}
			fmt.Fprintln(w)
		}
	}
}
