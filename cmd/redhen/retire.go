package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"redhen/appliance/api"
)

func (a *app) retireCommand() *cobra.Command {
	var ask api.Retire
	var cancel bool
	cmd := &cobra.Command{
		Use: "retire", Short: "Take this box out of its circle, when everything it has is at other houses", Args: cobra.NoArgs,
		Long: "Take this box out of its circle. What waits here goes to other houses, its copies move there, and then it leaves.\nCtrl-C on the way is harmless: the copies go on moving; call it again, or back with --cancel.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cancel {
				if err := a.box().Stay(cmd.Context()); err != nil {
					return err
				}
				return a.done("This box stays in the circle.")
			}
			if ask.Confirm == "" {
				return &usageError{fmt.Errorf("--confirm NAME is needed: the name of this box, which is to leave for good")}
			}
			last := api.Retiring{Spaces: -1}
			err := a.box().Retire(cmd.Context(), ask, func(r api.Retiring) {
				if r == last {
					return
				}
				last = r
				if a.json {
					json.NewEncoder(a.out).Encode(r)
				} else {
					fmt.Fprintf(a.out, "Still here: %d changes on their way, %d spaces.\n", r.Waiting, r.Spaces)
				}
			})
			if err != nil {
				return err
			}
			return a.done("%s has left the circle. Everything it had is at other houses; it may be switched off.", ask.Confirm)
		},
	}
	cmd.Flags().StringVar(&ask.Confirm, "confirm", "", "the name of this box")
	cmd.Flags().BoolVar(&cancel, "cancel", false, "stay in the circle after all")
	return cmd
}
