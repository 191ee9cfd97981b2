package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"redhen/appliance/api"
	"redhen/appliance/status"
)

func (a *app) scrubCommand() *cobra.Command {
	return &cobra.Command{
		Use: "scrub", Short: "Read everything again that this box keeps, and mend what has gone bad", Args: cobra.NoArgs,
		Long: "Read everything again that this box keeps, and mend what has gone bad.\nThe box does so by itself every month, slowly. Ctrl-C lets it go on slowly.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			told := -1
			last, err := a.box().Scrub(cmd.Context(), func(s api.Scrubbing) {
				percent := int(100 * s.Read / max(s.Total, 1))
				if percent == told {
					return
				}
				told = percent
				if a.json {
					json.NewEncoder(a.out).Encode(s)
				} else {
					fmt.Fprintf(a.out, "%s of %s read\n", status.Bytes(s.Read), status.Bytes(s.Total))
				}
			})
			if err != nil {
				return err
			}
			return a.show(last, func(w io.Writer) { fmt.Fprintln(w, last.Sentence) })
		},
	}
}
