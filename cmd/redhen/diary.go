package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

func (a *app) diaryCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use: "diary", Short: "What happened in the circle", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			lines, err := a.box().Diary(cmd.Context(), limit)
			if err != nil {
				return err
			}
			return a.show(lines, func(w io.Writer) {
				for _, l := range lines {
					fmt.Fprintf(w, "%s %s  %s %s\n", l.Day, l.Time.Format("15:04"), l.What, l.Lost)
				}
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 20, "how many lines, the newest first")
	return cmd
}
